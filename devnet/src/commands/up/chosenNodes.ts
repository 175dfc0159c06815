import { resolve } from "node:path";
import { GevulotClient, GevulotError, isGevulotError } from "gevulot-sdk";
import type { InferredOptionTypes, Options } from "yargs";
import { requireDevnet } from "./requireDevnet.ts";
import { commonOptions } from "./upOptions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    HASH_NOT_FOUND: { hash: string };
    HASH_AMBIGUOUS: { hash: string; found: readonly string[] };
    NODES_UNREACHABLE: { urls: readonly string[] };
  }
}

/** Stands for none where it is empty, as variables often are. */
const TOKEN_VARIABLE = "GEVULOT_TOKEN";

/** Of commands that ask nodes: those of this folder's devnet, or others. */
export const nodeChoice = {
  ...commonOptions,
  node: {
    type: "array",
    string: true,
    requiresArg: true,
    describe: "JSON-RPC of a node elsewhere, several times for several; default this folder's devnet",
  },
  token: {
    type: "string",
    requiresArg: true,
    describe: "Access token of those nodes; better by the variable GEVULOT_TOKEN",
  },
} as const satisfies Record<string, Options>;

export type NodeChoice = InferredOptionTypes<typeof nodeChoice>;

export interface ChosenNode {
  readonly name: string;
  readonly url: string;
  readonly token: string | undefined;
  readonly client: GevulotClient;
}

/** Whether `--node` is usable; for yargs' check. */
export function checkNodeChoice({
  node = [],
}: {
  readonly node?: readonly string[] | undefined;
}): string | true {
  const wrong = node.find((url) => !URL.canParse(url) || !/^https?:/.test(url));
  return wrong === undefined || `--node: "${wrong}" is no address; give one like http://localhost:9944.`;
}

/**
 * The nodes to ask, without those of the devnet that are stopped.
 * @throws GevulotError `DEVNET_NOT_RUNNING`
 */
export async function chooseNodes(args: NodeChoice): Promise<{ nodes: ChosenNode[]; warnings: string[] }> {
  const token = args.token || process.env[TOKEN_VARIABLE] || undefined;
  if (args.node !== undefined && args.node.length > 0) {
    const nodes = args.node.map((url) =>
      chosen(args.node?.length === 1 ? "node" : new URL(url).host, url, token),
    );
    return { nodes, warnings: [] };
  }
  const { data } = await requireDevnet(resolve(args["state-dir"]));
  const stopped = data.nodes.filter(({ pid }) => pid === null).map(({ name }) => `${name} is stopped`);
  const nodes = data.nodes.filter(({ pid }) => pid !== null);
  return { nodes: nodes.map(({ name, rpcUrl }) => chosen(name, rpcUrl, undefined)), warnings: stopped };
}

function chosen(name: string, url: string, token: string | undefined): ChosenNode {
  const client = new GevulotClient({ url, retries: 0, ...(token !== undefined && { accessToken: token }) });
  return { name, url, token, client };
}

/** What each node answers; those that don't are named in `warnings`. Throws `NODES_UNREACHABLE` where none does. */
export async function askNodes<T>(
  nodes: readonly ChosenNode[],
  ask: (node: ChosenNode) => Promise<T>,
): Promise<{ answers: { node: ChosenNode; answer: T }[]; warnings: string[] }> {
  const warnings: string[] = [];
  const asked = await Promise.all(
    nodes.map(async (node) => {
      try {
        return [{ node, answer: await ask(node) }];
      } catch (error) {
        if (!isGevulotError(error)) throw error;
        warnings.push(`${node.name}: ${error.message}`);
        return [];
      }
    }),
  );
  if (warnings.length === nodes.length) {
    const urls = nodes.map(({ url }) => url);
    const message =
      nodes.length === 0
        ? "All nodes of the devnet are stopped. Start one with: gevulot-devnet node start 0"
        : `No node gave an answer. ${warnings.join(" ")}`;
    throw new GevulotError("NODES_UNREACHABLE", message, { context: { urls } });
  }
  return { answers: asked.flat(), warnings };
}

/**
 * The Run that a hash, or its beginning, belongs to: of a Run, Proof or Verification.
 * @throws GevulotError `HASH_NOT_FOUND`, `HASH_AMBIGUOUS`, `NODES_UNREACHABLE`
 */
export async function findRunOf(
  nodes: readonly ChosenNode[],
  text: string,
): Promise<{ run: string; warnings: string[] }> {
  const prefix = text.toLowerCase();
  const { answers, warnings } = await askNodes(nodes, ({ client }) => client.findHashes(prefix));
  const found = answers.flatMap(({ answer }) => answer);
  const runs = [...new Set(found.flatMap(({ run }) => run ?? []))];
  if (runs.length === 1) return { run: runs[0] as string, warnings };
  if (runs.length > 1) {
    throw new GevulotError(
      "HASH_AMBIGUOUS",
      `${runs.length} runs have hashes that begin with ${text}: ${runs.map((run) => run.slice(0, 16)).join(", ")}. Give more digits.`,
      { context: { hash: text, found: runs } },
    );
  }
  const other = found[0];
  const message = other
    ? `${text} is a ${other.kind}, and belongs to no run. Give the hash of a run, proof or verification.`
    : `No run, proof or verification on ${answers.map(({ node }) => node.name).join(", ")} has a hash that begins with ${text}. Check the digits; \`gevulot list runs\` shows the newest runs.`;
  throw new GevulotError("HASH_NOT_FOUND", message, { context: { hash: text } });
}
