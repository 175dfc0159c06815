import type { RunStatus, RunTrace } from "gevulot-sdk";
import { isGevulotError } from "gevulot-sdk";
import type { FoundView, PageView, ProgramRow, ProgramView, RunRow, RunView } from "./api.ts";
import { askAll, askFirst } from "./askNodes.ts";
import type { LiveNetwork } from "./liveNetwork.ts";
import type { NodeLink } from "./nodeLink.ts";
import { createPrograms, toWire } from "./programNames.ts";
import { createTransactions, type Transactions } from "./results.ts";

/** What the page asks for, gathered from the nodes. Throws as {@link askFirst} does. */
export interface Views {
  /** `node`: asks only the one of this name. */
  runs(filter: RunsFilter): Promise<PageView<RunRow>>;
  run(hash: string): Promise<RunView>;
  programs(filter: PageFilter): Promise<PageView<ProgramRow>>;
  program(hash: string): Promise<ProgramView>;
  find(prefix: string): Promise<FoundView[]>;
  resultBytes: Transactions["resultBytes"];
}

export interface PageFilter {
  readonly before?: string | undefined;
  readonly limit?: number | undefined;
  readonly node?: string | undefined;
}

export interface RunsFilter extends PageFilter {
  readonly state?: string | undefined;
  readonly program?: string | undefined;
}

const MAX_FOUND = 20;
/** Of a Run with thousands, which any stranger may add, the first. */
const MAX_RESULTS = 200;
const STATES = ["submitted", "proving", "verifying", "failed", "complete"];

export function createViews(network: LiveNetwork): Views {
  const links = () => network.linksToAsk();
  const linksOf = (name: string | undefined) =>
    name === undefined ? links() : network.links.filter(({ node }) => node.name === name);
  const programs = createPrograms(links);
  const transactions = createTransactions(links, programs);
  const page = <T>(method: string, { node, ...filter }: RunsFilter) =>
    askFirst(
      linksOf(node),
      async (link) => {
        const wire = await link.call<{ items: T[]; next: string | null }>(method, filter);
        return { ...wire, from: link.node.name };
      },
      "That page",
    );
  return {
    async runs(filter) {
      const { items, ...rest } = await page<Omit<RunRow, "programs"> & { programs: string[] }>(
        "listRuns",
        filter,
      );
      const named = items.map(async (item) => ({ ...item, programs: await programs.refs(item.programs) }));
      return { ...rest, items: await Promise.all(named) };
    },
    run: (hash) => readRun(links(), transactions, hash),
    programs: (filter) => page<ProgramRow>("listPrograms", filter),
    program: programs.get,
    find: (prefix) => find(network, prefix),
    resultBytes: transactions.resultBytes,
  };
}

async function readRun(
  links: readonly NodeLink[],
  transactions: Transactions,
  hash: string,
): Promise<RunView> {
  const wire = toWire(hash);
  const answers = await askAll(
    links,
    async (link) => {
      const status = await link.call<RunStatus>("getRunStatus", wire);
      const trace = await link.call<RunTrace>("getRunTrace", wire).catch((error: unknown) => {
        if (isGevulotError(error)) return null;
        throw error;
      });
      return { status, trace };
    },
    `The Run ${hash}`,
  );
  const known = answers.flatMap(({ value }) => value ?? []);
  const status = mergeStatuses(known.map((each) => each.status));
  const results = [...status.proofs, ...status.verifications].slice(0, MAX_RESULTS);
  const [run, ...shown] = await Promise.all([
    transactions.run(hash),
    ...results.map((each) => transactions.result(each)),
  ]);
  return {
    status,
    ...run,
    results: shown,
    seenBy: answers.map(({ link, value }) => ({ name: link.node.name, state: value?.status.state ?? null })),
    traces: answers.flatMap(({ link, value }) => {
      if (!value?.trace) return [];
      const { node, spans, leftOut } = value.trace;
      return [{ name: link.node.name, node, spans, leftOut }];
    }),
  };
}

/** The one that is furthest; of each task what the node says that runs it, of results all that anybody has. */
function mergeStatuses(statuses: readonly RunStatus[]): RunStatus {
  const furthest = statuses.reduce((best, each) =>
    STATES.indexOf(each.state) > STATES.indexOf(best.state) ? each : best,
  );
  const tasks = new Map(furthest.tasks.map((task) => [task.id, task]));
  for (const status of statuses) {
    for (const task of status.tasks) {
      const known = tasks.get(task.id);
      const isFresher = known === undefined || progressOf(task) > progressOf(known);
      if (isFresher) tasks.set(task.id, task);
    }
  }
  const all = (of: (status: RunStatus) => readonly string[]) => [
    ...new Set([...of(furthest), ...statuses.flatMap(of)]),
  ];
  return {
    ...furthest,
    tasks: [...tasks.values()].sort((a, b) => a.step - b.step),
    proofs: all(({ proofs }) => proofs),
    verifications: all(({ verifications }) => verifications),
  };
}

/** What only grows while a task goes on. */
function progressOf({ state, attempts }: RunStatus["tasks"][number]): number {
  const last = attempts.at(-1);
  const stages = [last?.startedAt, last?.bootedAt, last?.programStartedAt, last?.endedAt];
  const ended = state === "done" || state === "failed" ? 1 : 0;
  return ended * 1_000_000 + attempts.length * 100 + stages.filter((at) => at != null).length;
}

async function find(network: LiveNetwork, prefix: string): Promise<FoundView[]> {
  const answers = await askAll(
    network.linksToAsk(),
    (link) => link.call<FoundView[]>("findHashes", { prefix, limit: MAX_FOUND }),
    "That hash",
  );
  const found = new Map(answers.flatMap(({ value }) => value ?? []).map((each) => [each.hash, each]));
  const nodes = network
    .view()
    .nodes.flatMap(({ name, info }): FoundView[] =>
      info?.publicKey.startsWith(prefix) ? [{ hash: info.publicKey, kind: "node", run: null, name }] : [],
    );
  return [...nodes, ...found.values()].slice(0, MAX_FOUND);
}
