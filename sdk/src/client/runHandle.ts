import { cancel } from "../actions/cancel.ts";
import { getRunStatus } from "../actions/getRunStatus.ts";
import type { SentRun } from "../actions/run.ts";
import { checkCount, checkFunction, checkMs, checkSignal } from "../context/checkOptions.ts";
import type { ActionOptions, ClientContext } from "../context/context.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { RunStatus } from "../runStatus.ts";
import type { EventsOptions, RunEvent } from "./runEvents.ts";
import type { RunResult } from "./runResult.ts";

export interface ResultOptions {
  /** How many Verifications to wait for, each by a node of its own; default 1. For a Run of one step it is 0. */
  readonly minVerifications?: number | undefined;
  /** Default ten minutes. The Run goes on when time is up, and can be asked for again. */
  readonly timeoutMs?: number | undefined;
  /** How long the node may be away, as while it restarts; default 15 s. */
  readonly unreachableMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called at each look at the Run, on nodes that have `getRunStatus`. */
  readonly onStatus?: (status: RunStatus) => void;
}

/** A Run that was sent. Holds nothing open: a handle for the same hash can be made later, by another process. */
export interface RunHandle {
  readonly hash: Hash;
  /** Where it stands now: see `getRunStatus`. */
  status(options?: ActionOptions): Promise<RunStatus>;
  /**
   * Waits for its end. Resolves with its Proofs and their Verifications, at least one; for a Run of one step with its
   * Proofs. Rejects with
   *
   * - `TASK_FAILED`: step, failure (exit code or signal, the program's own message, the console's last 4 KiB), attempts
   * - `NOT_SCHEDULED`: time is up, and no task had started
   * - `TIMED_OUT`: time is up; the last stage seen
   * - `CANCELLED`: the signal was aborted
   * - `CANNOT_REACH_NODE`: the node was away for longer than `unreachableMs`
   * - `REFUSED`: the node does not know the Run
   * - `RESULT_NOT_GENUINE`: the node shows a Proof or Verification that is not its author's, or not of this Run
   */
  result(options?: ResultOptions): Promise<RunResult>;
  /**
   * What happens to it, from its beginning, until it is verified or has failed; goes on after a cut. Throws
   * `CANNOT_REACH_NODE`, `REFUSED` for an unknown Run, `RPC_CALL_INVALID` on a node without this extension, or
   * `CANCELLED`.
   */
  events(options?: EventsOptions): AsyncGenerator<RunEvent, void>;
  /** Ends it: see the client's `cancel`. Gives the hash of the Cancel transaction. */
  cancel(options?: ActionOptions): Promise<Hash>;
}

const DEFAULT_TIMEOUT_MS = 10 * 60_000;
const DEFAULT_UNREACHABLE_MS = 15_000;

export function createRunHandle(context: ClientContext, run: SentRun): RunHandle {
  const { hash } = run;
  return {
    hash,
    status: (options = {}) => getRunStatus(context, hash, options),
    async *events(options) {
      const { streamRunEvents } = await import("./later.ts");
      yield* streamRunEvents(context, hash, options);
    },
    cancel: (options) => cancel(context, hash, options),
    async result(options = {}) {
      const {
        timeoutMs = DEFAULT_TIMEOUT_MS,
        unreachableMs = DEFAULT_UNREACHABLE_MS,
        signal,
        onStatus,
        minVerifications = 1,
      } = options;
      checkMs({ timeoutMs, unreachableMs });
      checkCount("minVerifications", minVerifications);
      checkSignal(signal);
      checkFunction("onStatus", onStatus);
      const { awaitResult } = await import("./later.ts");
      return awaitResult(context, run, { timeoutMs, unreachableMs, signal, onStatus, minVerifications });
    },
  };
}
