import type { ServerUnaryCall, ServiceDefinition } from "@grpc/grpc-js";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import { RESULT_CODE } from "../wire/messages.ts";
import type { ResultStore } from "./resultStore.ts";
import type { StepAnswer, StepRequest } from "./steps.ts";
import { createTurns } from "./turns.ts";

export type Answer = StepAnswer & { readonly result: { readonly code: number; readonly message: string } };
export type Call = ServerUnaryCall<StepRequest, Answer>;

/** Each task once: who asks again for one that runs joins it, who asks for one that is done gets the kept answer. */
export interface TaskRuns extends AsyncDisposable {
  run(method: TaskMethod, call: Call): Promise<Answer>;
  /** `computed_request_id`s of what runs or waits for a slot now. */
  running(): string[];
  isDraining(): boolean;
  /** Takes nothing new; what waits for a slot is refused too. */
  drain(): void;
}

/** What a task's computation is given. */
export interface Turn {
  /** The call that came last for the task: from another stage, where the first is gone. */
  readonly latest: () => Call;
  /** Waits for a slot, which the task has until its answer is kept. */
  readonly begin: () => Promise<void>;
  readonly signal: AbortSignal;
}

export interface TaskRunsDeps {
  readonly results: ResultStore;
  readonly prover: ServiceDefinition;
  readonly compute: (method: TaskMethod, call: Call, turn: Turn) => Promise<Answer>;
  readonly onFailed: (id: string, method: TaskMethod, reason: string) => void;
}

interface TaskRun {
  readonly answer: Promise<Answer>;
  readonly abort: AbortController;
  waiters: number;
  latest: Call;
  hasBegun: boolean;
}

export interface TaskRunsOptions {
  readonly slots: number;
  /** So many tasks beyond them may wait here; their data is fetched meanwhile. */
  readonly waitingRoom: number;
}

export function createTaskRuns(deps: TaskRunsDeps, options: TaskRunsOptions): TaskRuns {
  const { results } = deps;
  const { slots, waitingRoom } = options;
  const running = new Map<string, TaskRun>();
  const turns = createTurns(slots);
  let draining = false;

  const start = (method: TaskMethod, call: Call): TaskRun => {
    const { proof_id, computed_request_id: id } = call.request;
    const abort = new AbortController();
    let leave = (): void => {};
    const turn: Turn = {
      latest: () => run.latest,
      async begin() {
        leave = await turns.take(abort.signal);
        run.hasBegun = true;
      },
      signal: abort.signal,
    };
    const compute = async (): Promise<Answer> => {
      const answer = await deps.compute(method, call, turn);
      const done = { ...answer, proof_id, computed_request_id: id };
      if (done.result.code === RESULT_CODE.OK) {
        await results.keep(id, { method, answer: deps.prover[method]!.responseSerialize(done) as Buffer });
      } else if (draining && !run.hasBegun) return refused(RESULT_CODE.BUSY, "draining");
      else deps.onFailed(id, method, done.result.message);
      return done;
    };
    const work = () => compute().finally(() => leave());
    // Begins when `run` is there.
    const answer = Promise.resolve().then(work);
    const run: TaskRun = {
      answer: answer.finally(() => running.delete(id)),
      abort,
      waiters: 1,
      latest: call,
      hasBegun: false,
    };
    running.set(id, run);
    return run;
  };

  return {
    async run(method, call) {
      const { computed_request_id: id } = call.request;
      const known = await results.find(id);
      if (known?.method === method) return deps.prover[method]!.responseDeserialize(known.answer) as Answer;
      const joined = running.get(id);
      if (joined) {
        joined.waiters += 1;
        joined.latest = call;
      } else if (draining) return refused(RESULT_CODE.BUSY, "draining");
      else if (running.size >= slots + waitingRoom) return refused(RESULT_CODE.BUSY, "all slots are taken");
      const run = joined ?? start(method, call);
      stopUnwanted(call, run);
      return run.answer;
    },
    running: () => [...running.keys()],
    isDraining: () => draining,
    drain() {
      draining = true;
      turns.close();
    },
    async [Symbol.asyncDispose]() {
      const runs = [...running.values()];
      for (const { abort } of runs) abort.abort();
      await Promise.all(runs.map(({ answer }) => answer.catch(() => {})));
    },
  };
}

export function refused(code: number, message: string): Answer {
  return { result: { code, message } };
}

/**
 * Work ends when the last who waits for it is gone. A call that broke may come again soon, so what has begun gets some
 * time; not if the call's own deadline ended it.
 */
const JOIN_AGAIN_MS = 10_000;

function stopUnwanted(call: Call, run: TaskRun): void {
  call.once("cancelled", () => {
    run.waiters -= 1;
    const stop = (): void => {
      if (run.waiters === 0) run.abort.abort();
    };
    if (!run.hasBegun || Number(call.getDeadline()) <= Date.now()) stop();
    else setTimeout(stop, JOIN_AGAIN_MS).unref();
  });
}
