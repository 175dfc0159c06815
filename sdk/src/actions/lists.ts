import { checkCount, checkObject, checkSignal } from "../context/checkOptions.ts";
import type { ActionOptions, ClientContext } from "../context/context.ts";
import { jsonArray, jsonNullable, jsonObject } from "../protocol/json/combinators.ts";
import type { JsonCodec } from "../protocol/json/jsonCodec.ts";
import { jsonHashHex, jsonPublicKeyHex, jsonString, jsonU64 } from "../protocol/json/leaves.ts";
import type { Hash, PublicKey } from "../protocol/transaction.ts";
import type { RunState, TaskStatus } from "../runStatus.ts";
import { jsonInteger, jsonWord } from "./jsonStatus.ts";

export interface ListOptions extends ActionOptions {
  /** Only by this key; of a program, who deployed it first. */
  readonly author?: PublicKey | undefined;
  /** A page's `next`, or an ISO 8601 time: only what is older. */
  readonly before?: string | undefined;
  /** 1 to 100; default 20. */
  readonly limit?: number | undefined;
}

export interface ListRunsOptions extends ListOptions {
  readonly state?: RunState | undefined;
  /** Only with a step of this program. */
  readonly program?: Hash | undefined;
}

export interface ListTasksOptions extends ListOptions {
  readonly state?: TaskStatus["state"] | undefined;
}

/** Newest first. */
export interface Page<T> {
  readonly items: readonly T[];
  /** Give it as `before` for what is older; null where there is nothing. */
  readonly next: string | null;
}

export interface ListedRun {
  readonly run: Hash;
  readonly author: PublicKey;
  readonly state: RunState;
  /** ISO 8601, UTC. */
  readonly submittedAt: string;
  /** One for each step. */
  readonly programs: readonly Hash[];
  /** How many there are. */
  readonly proofs: number;
  readonly verifications: number;
}

export interface ListedProgram {
  readonly program: Hash;
  readonly name: string;
  readonly imageFileName: string;
  readonly imageFileUrl: string;
  /** BLAKE3, 64 hex digits. */
  readonly imageFileChecksum: string;
  readonly memMib: bigint;
  readonly cpus: bigint;
  readonly gpus: bigint;
  readonly author: PublicKey;
  /** The first Deploy that named it. */
  readonly deploy: Hash;
  readonly deployedAt: string;
}

export interface ListedTask extends Omit<TaskStatus, "attempts" | "failure" | "node"> {
  readonly run: Hash;
  readonly author: PublicKey;
  /** How many there were. */
  readonly attempts: number;
  readonly queuedAt: string;
  readonly endedAt: string | null;
  /** The code; `getRunStatus` has the rest. */
  readonly failure: string | null;
}

const listedRun = jsonObject<ListedRun>({
  run: ["run", jsonHashHex],
  author: ["author", jsonPublicKeyHex],
  state: ["state", jsonWord()],
  submittedAt: ["submittedAt", jsonString],
  programs: ["programs", jsonArray(jsonHashHex)],
  proofs: ["proofs", jsonInteger],
  verifications: ["verifications", jsonInteger],
});

const listedProgram = jsonObject<ListedProgram>({
  program: ["program", jsonHashHex],
  name: ["name", jsonString],
  imageFileName: ["imageFileName", jsonString],
  imageFileUrl: ["imageFileUrl", jsonString],
  imageFileChecksum: ["imageFileChecksum", jsonString],
  memMib: ["memMib", jsonU64],
  cpus: ["cpus", jsonU64],
  gpus: ["gpus", jsonU64],
  author: ["author", jsonPublicKeyHex],
  deploy: ["deploy", jsonHashHex],
  deployedAt: ["deployedAt", jsonString],
});

const listedTask = jsonObject<ListedTask>({
  id: ["id", jsonString],
  run: ["run", jsonHashHex],
  author: ["author", jsonPublicKeyHex],
  step: ["step", jsonInteger],
  kind: ["kind", jsonWord()],
  program: ["program", jsonHashHex],
  programName: ["programName", jsonString],
  proof: ["proof", jsonNullable(jsonHashHex)],
  state: ["state", jsonWord()],
  waitsFor: ["waitsFor", jsonNullable(jsonString)],
  attempts: ["attempts", jsonInteger],
  queuedAt: ["queuedAt", jsonString],
  endedAt: ["endedAt", jsonNullable(jsonString)],
  result: ["result", jsonNullable(jsonHashHex)],
  failure: ["failure", jsonNullable(jsonString)],
});

/** The Runs that a node keeps. Throws `RPC_CALL_INVALID` for a wrong option, or where the node has no lists. */
export function listRuns(context: ClientContext, options: ListRunsOptions = {}): Promise<Page<ListedRun>> {
  return list(context, "listRuns", listedRun, options);
}

/** The programs that are deployed. Throws as {@link listRuns} does. */
export function listPrograms(
  context: ClientContext,
  options: ListOptions = {},
): Promise<Page<ListedProgram>> {
  return list(context, "listPrograms", listedProgram, options);
}

/** The tasks of a node. Throws as {@link listRuns} does. */
export function listTasks(context: ClientContext, options: ListTasksOptions = {}): Promise<Page<ListedTask>> {
  return list(context, "listTasks", listedTask, options);
}

const MAX_LIMIT = 100;

async function list<T>(
  context: ClientContext,
  method: string,
  item: JsonCodec<T>,
  options: ListOptions & { readonly state?: string | undefined; readonly program?: Hash | undefined },
): Promise<Page<T>> {
  checkObject(method, options);
  const { signal, author, state, program, before, limit } = options;
  checkCount("limit", limit, 1, MAX_LIMIT);
  checkSignal(signal);
  const page = jsonObject<Page<T>>({
    items: ["items", jsonArray(item)],
    next: ["next", jsonNullable(jsonString)],
  });
  return context.transport.call(
    method,
    { author, state, program, before, limit },
    { parse: (value) => page.fromJson(value, ""), isSafe: true, signal },
  );
}
