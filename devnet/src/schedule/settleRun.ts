import type { TaskFailure } from "gevulot-sdk";
import type { Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { Database, Queryable } from "../store/database.ts";
import { type RunFacts, readRunFacts, type WorkFailure } from "../store/readRunFacts.ts";
import { failSharedRun, settleSharedRun } from "../store/sharedRuns.ts";
import { isOver, setTurn } from "../store/tasks.ts";
import { type Assignment, assignWork, rankNodes, type WorkRule } from "./assignment.ts";
import { insertReadyTasks } from "./insertReadyTasks.ts";
import type { ResourceAmount } from "./resources.ts";
import { readyTasks } from "./workflow.ts";

/** A node that is there and runs tasks. */
export interface WorkingNode {
  readonly publicKey: string;
  readonly resources: ResourceAmount;
}

export interface SettleDeps {
  readonly log: Logger;
  readonly database: Database;
  /** This node's own key. */
  readonly ownKey: string;
  /** Those that are there now, this one included where it runs tasks. */
  readonly nodes: () => readonly WorkingNode[];
  readonly onRunChanged?: (run: string) => void;
}

export interface SettleOptions {
  readonly execute: boolean;
  readonly provers: number;
  readonly verifiers: number;
  readonly attempts: number;
  /** How long a node has for its result before the next one is asked, too. */
  readonly deliveryMs: number;
}

const ALL: WorkRule = { wanted: Number.POSITIVE_INFINITY, attempts: Number.POSITIVE_INFINITY };

/**
 * Decides what this node does for a Run that it shares with others, from what is stored of it: whose turn each step is,
 * and whether the Run failed for good.
 */
export async function settleRun(deps: SettleDeps, options: SettleOptions, run: string): Promise<void> {
  const failure = await deps.database.transaction((client) => settle(deps, options, client, run));
  if (failure === null) return;
  deps.log.warn({ run, code: failure.code, reason: failure.message }, "the run failed for good");
  deps.onRunChanged?.(run);
}

async function settle(
  deps: SettleDeps,
  options: SettleOptions,
  client: Queryable,
  run: string,
): Promise<TaskFailure | null> {
  if (await isOver(client, run)) {
    await settleSharedRun(client, run);
    return null;
  }
  if (options.execute) await insertReadyTasks(client, run);
  const facts = await readRunFacts(client, run, deps.ownKey);
  if (facts === null) return null;
  const decided = decideWork(facts, deps.nodes(), options, Date.now());
  for (const { step, proof, active } of decided.works) {
    // In mode `all` it is always everybody's turn.
    if (facts.assigned) await setTurn(client, { run, step, proof }, active.includes(deps.ownKey));
  }
  if (decided.failure !== null) await failSharedRun(client, run, decided.failure);
  else if (decided.settled) await settleSharedRun(client, run);
  return decided.failure;
}

interface Work extends Assignment {
  readonly step: number;
  readonly proof: string | null;
}

export interface DecidedWork {
  readonly works: readonly Work[];
  /** Why the Run failed for good. */
  readonly failure: TaskFailure | null;
  /** It has its results, and nobody is to make more. */
  readonly settled: boolean;
}

/** The decision, from facts alone: nodes that know the same decide the same. */
export function decideWork(
  facts: RunFacts,
  nodes: readonly WorkingNode[],
  options: Omit<SettleOptions, "execute">,
  nowMs: number,
): DecidedWork {
  const run = facts.run as Transaction<"run">;
  const rejected = new Map<string, WorkFailure>();
  const works: Work[] = [];
  let failure: TaskFailure | null = null;
  let isVerified = false;
  // The last step first: a Proof that its verifiers reject is a failure of its prover.
  for (const { step, kind, program, proof } of readyTasks(run, facts.proofs).reverse()) {
    const wanted = kind === "proof" ? options.provers : options.verifiers;
    const rule = facts.assigned ? { wanted, attempts: options.attempts } : ALL;
    const results = kind === "proof" ? proofsOf(facts, program, rejected) : verificationsOf(facts, proof);
    const failures = [
      ...facts.failures.filter((each) => each.step === step && each.proof === proof),
      ...(kind === "proof" ? rejectedOf(facts, program, rejected) : []),
    ];
    const windowsPassed = facts.assigned
      ? Math.max(0, Math.floor((nowMs - sinceMs(facts, step, proof)) / options.deliveryMs))
      : 0;
    const ranked = rankNodes(run.hash, able(nodes, facts.resources.get(program)));
    const failed = new Set(failures.map(({ author }) => author));
    const turn = assignWork({ ranked, delivered: new Set(results), failed, windowsPassed }, rule);
    works.push({ step, proof, ...turn });
    if (step === run.payload.steps.length - 1 && results.length > 0) isVerified = true;
    // That nobody is there is no failure: somebody may come.
    const isLost = turn.exhausted && (failures.length > 0 || windowsPassed >= rule.attempts);
    if (!isLost) continue;
    const reason = failures.at(-1) ?? { author: "", step, proof, failure: nobodyDelivered(step) };
    if (proof !== null) rejected.set(proof, reason);
    else failure ??= reason.failure;
  }
  if (isVerified) failure = null;
  return { works, failure, settled: isVerified && works.every(({ active }) => active.length === 0) };
}

function proofsOf(facts: RunFacts, program: string, rejected: ReadonlyMap<string, unknown>): string[] {
  return facts.proofs
    .filter(({ prover, hash }) => prover === program && !rejected.has(hash))
    .map(({ author }) => author);
}

function rejectedOf(
  facts: RunFacts,
  program: string,
  rejected: ReadonlyMap<string, WorkFailure>,
): WorkFailure[] {
  return facts.proofs.flatMap(({ prover, hash, author }) => {
    const reason = prover === program ? rejected.get(hash) : undefined;
    return reason ? [{ ...reason, author }] : [];
  });
}

function verificationsOf(facts: RunFacts, proof: string | null): string[] {
  return facts.verifications.filter((each) => each.proof === proof).map(({ author }) => author);
}

/** When the work could begin: when the last of what it takes was there. */
function sinceMs(facts: RunFacts, step: number, proof: string | null): number {
  const inputs = (facts.run as Transaction<"run">).payload.steps[step]?.inputs ?? [];
  const sources = inputs.flatMap((input) => (input.kind === "output" ? [input.sourceProgram] : []));
  const times = sources.map((source) => facts.proofs.find(({ prover }) => prover === source)?.at.getTime());
  const followed = facts.proofs.find(({ hash }) => hash === proof)?.at.getTime();
  return Math.max(facts.submittedAt.getTime(), followed ?? 0, ...times.map((time) => time ?? 0));
}

/** Those that the program fits; where it fits nobody, all: then they say so. */
function able(nodes: readonly WorkingNode[], wanted: ResourceAmount | undefined): string[] {
  const fits = ({ resources }: WorkingNode) =>
    wanted === undefined || (wanted.memMib <= resources.memMib && wanted.gpus <= resources.gpus);
  const some = nodes.filter(fits);
  return (some.length > 0 ? some : nodes).map(({ publicKey }) => publicKey);
}

function nobodyDelivered(step: number): TaskFailure {
  const message = "No node delivered a result in its time, in all attempts.";
  return { code: "LOST", message, step, exitCode: null, signal: null, consoleTail: "" };
}
