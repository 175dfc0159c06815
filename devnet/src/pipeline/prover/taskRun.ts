import type { ServerUnaryCall } from "@grpc/grpc-js";
import type { StepAnswer, StepRequest } from "./steps.ts";

export type Answer = StepAnswer & { readonly result: { readonly code: number; readonly message: string } };
export type Call = Pick<
  ServerUnaryCall<StepRequest, Answer>,
  "request" | "metadata" | "cancelled" | "getPeer" | "getDeadline" | "once"
>;

/** What a call asks, and from where; its connection may be gone since. */
export interface Asked extends Pick<Call, "request" | "metadata"> {
  /** `address:port`. */
  readonly peer: string;
}

/** What a task's computation is given. */
export interface Turn {
  /** `requestHash` of what is asked. */
  readonly requestId: string;
  /** The call that came last for the task: from another stage, where the first is gone. */
  readonly latest: () => Asked;
  /** Waits for a slot, which the task has until its answer is kept. */
  readonly begin: () => Promise<void>;
  readonly signal: AbortSignal;
}

/** One task at work, and who waits for it. */
export interface TaskRun {
  readonly request: string;
  readonly answer: Promise<Answer>;
  readonly abort: AbortController;
  waiters: number;
  latest: Asked;
  hasBegun: boolean;
  /** Nobody has waited for it for a while: it ends where another task waits for its slot. */
  yields: boolean;
  /** Its run is over: once nobody waits for it, nobody will again. */
  isOver: boolean;
  stops: NodeJS.Timeout[];
}

/**
 * A call that broke may come again, from another stage where the first is gone: that one must find out, and have room.
 * Nobody can tell it from a call that was cancelled: who waits for the slot need not wait so long, and a stage says which
 * tasks' runs are over.
 */
export const JOIN_AGAIN_MS = 60_000;
const YIELD_AFTER_MS = 10_000;

export function startTask(
  deps: {
    /** Waits for a slot; gives what gives it back. */
    readonly take: (signal: AbortSignal) => Promise<() => void>;
    readonly compute: (turn: Turn) => Promise<Answer>;
    readonly onEnd: () => void;
  },
  asked: Asked,
  request: string,
): TaskRun {
  const abort = new AbortController();
  let leave = (): void => {};
  const turn: Turn = {
    requestId: request,
    latest: () => run.latest,
    async begin() {
      leave = await deps.take(abort.signal);
      run.hasBegun = true;
    },
    signal: abort.signal,
  };
  const work = () => deps.compute(turn).finally(() => leave());
  const run: TaskRun = {
    ...{ request, abort, latest: asked },
    // Begins when `run` is there.
    answer: Promise.resolve().then(work).finally(deps.onEnd),
    ...{ waiters: 0, hasBegun: false, yields: false, isOver: false, stops: [] },
  };
  return run;
}

/** Work ends when the last who waits for it is gone; what has begun some time after that. */
export function waitFor(call: Call, run: TaskRun, yieldSlots: () => void): void {
  run.waiters += 1;
  run.yields = false;
  run.isOver = false;
  for (const stop of run.stops) clearTimeout(stop);
  const leave = (): void => {
    run.waiters -= 1;
    if (run.waiters > 0) return;
    const stop = (): void => run.abort.abort();
    if (!run.hasBegun || run.isOver || Number(call.getDeadline()) <= Date.now()) {
      stop();
      return;
    }
    const offer = (): void => {
      run.yields = true;
      yieldSlots();
    };
    run.stops = [setTimeout(offer, YIELD_AFTER_MS).unref(), setTimeout(stop, JOIN_AGAIN_MS).unref()];
  };
  if (call.cancelled) leave();
  else call.once("cancelled", leave);
}
