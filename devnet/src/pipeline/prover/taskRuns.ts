import type { ServerUnaryCall, ServiceDefinition } from "@grpc/grpc-js";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import { RESULT_CODE } from "../wire/messages.ts";
import type { ResultStore } from "./resultStore.ts";
import type { StepAnswer, StepRequest } from "./steps.ts";

export type Answer = StepAnswer & { readonly result: { readonly code: number; readonly message: string } };
export type Call = ServerUnaryCall<StepRequest, Answer>;

/** Each task once: who asks again for one that runs joins it, who asks for one that is done gets the kept answer. */
export interface TaskRuns extends AsyncDisposable {
  run(method: TaskMethod, call: Call): Promise<Answer>;
  /** `computed_request_id`s of what runs now. */
  running(): string[];
  isDraining(): boolean;
  /** Takes nothing new. */
  drain(): void;
}

export interface TaskRunsDeps {
  readonly results: ResultStore;
  readonly prover: ServiceDefinition;
  /** @param latest the call that came last for the task: from another stage, where the first is gone */
  readonly compute: (
    method: TaskMethod,
    call: Call,
    latest: () => Call,
    signal: AbortSignal,
  ) => Promise<Answer>;
  readonly onFailed: (id: string, method: TaskMethod, reason: string) => void;
}

interface TaskRun {
  readonly answer: Promise<Answer>;
  readonly abort: AbortController;
  waiters: number;
  latest: Call;
}

export function createTaskRuns(deps: TaskRunsDeps, options: { readonly slots: number }): TaskRuns {
  const { results } = deps;
  const running = new Map<string, TaskRun>();
  let draining = false;

  const start = (method: TaskMethod, call: Call): TaskRun => {
    const { proof_id, computed_request_id: id } = call.request;
    const abort = new AbortController();
    const work = async (): Promise<Answer> => {
      const done = {
        ...(await deps.compute(method, call, () => run.latest, abort.signal)),
        proof_id,
        computed_request_id: id,
      };
      const isDone = done.result.code === RESULT_CODE.OK;
      if (!isDone) deps.onFailed(id, method, done.result.message);
      else await results.keep(id, { method, answer: deps.prover[method]!.responseSerialize(done) as Buffer });
      return done;
    };
    // Begins when `run` is there.
    const answer = Promise.resolve().then(work);
    const run: TaskRun = {
      answer: answer.finally(() => running.delete(id)),
      abort,
      waiters: 1,
      latest: call,
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
      else if (running.size >= options.slots) return refused(RESULT_CODE.BUSY, "all slots are taken");
      const run = joined ?? start(method, call);
      stopUnwanted(call, run);
      return run.answer;
    },
    running: () => [...running.keys()],
    isDraining: () => draining,
    drain() {
      draining = true;
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

/** Work ends when the last who waits for it is gone. A call that broke may come again soon, so it gets some time. */
const JOIN_AGAIN_MS = 10_000;

function stopUnwanted(call: Call, run: TaskRun): void {
  call.once("cancelled", () => {
    run.waiters -= 1;
    const timer = setTimeout(() => {
      if (run.waiters === 0) run.abort.abort();
    }, JOIN_AGAIN_MS);
    timer.unref();
  });
}
