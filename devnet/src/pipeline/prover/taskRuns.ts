import type { ServiceDefinition } from "@grpc/grpc-js";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import { RESULT_CODE } from "../wire/messages.ts";
import { requestHash } from "./requestHash.ts";
import type { ResultStore } from "./resultStore.ts";
import {
  type Answer,
  type Asked,
  type Call,
  startTask,
  type TaskRun,
  type Turn,
  waitFor,
} from "./taskRun.ts";
import { createTurns } from "./turns.ts";

/** Each task once: who asks again for one that runs joins it, who asks for one that is done gets the kept answer. */
export interface TaskRuns extends AsyncDisposable {
  run(method: TaskMethod, call: Call): Promise<Answer>;
  /** `computed_request_id`s of what runs or waits for a slot now. */
  running(): string[];
  /** Nobody will come for these tasks again: ends those for which no call waits, and the others once theirs are gone. */
  stop(ids: readonly string[]): void;
  isDraining(): boolean;
  /** Takes nothing new; what waits for a slot is refused too. */
  drain(): void;
}

export interface TaskRunsDeps {
  readonly results: ResultStore;
  readonly prover: ServiceDefinition;
  readonly compute: (method: TaskMethod, asked: Asked, turn: Turn) => Promise<Answer>;
  readonly onFailed: (id: string, method: TaskMethod, reason: string) => void;
  /** The answer is given all the same. */
  readonly onNotKept: (id: string, reason: string) => void;
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

  const yieldSlots = (): void => {
    if (!turns.isWanted()) return;
    for (const { yields, abort } of running.values()) if (yields) abort.abort();
  };
  const take = (signal: AbortSignal): Promise<() => void> => {
    const taken = turns.take(signal);
    yieldSlots();
    return taken;
  };
  const start = (method: TaskMethod, asked: Asked, request: string): TaskRun => {
    const { proof_id, computed_request_id: id } = asked.request;
    const compute = async (turn: Turn): Promise<Answer> => {
      const answer = await deps.compute(method, asked, turn);
      const done = { ...answer, proof_id, computed_request_id: id };
      if (done.result.code === RESULT_CODE.OK) await keep(deps, id, method, request, done);
      else if (draining && !run.hasBegun) return refused(RESULT_CODE.BUSY, "draining");
      else deps.onFailed(id, method, done.result.message);
      return done;
    };
    const run = startTask({ take, compute, onEnd: () => running.delete(id) }, asked, request);
    running.set(id, run);
    return run;
  };

  return {
    async run(method, call) {
      const { computed_request_id: id } = call.request;
      const asked = { request: call.request, metadata: call.metadata, peer: call.getPeer() };
      const definition = deps.prover[method]!;
      const request = requestHash(definition, asked);
      if (!running.has(id)) {
        const known = await results.find(id);
        if (known?.request === request) return definition.responseDeserialize(known.answer) as Answer;
      }
      const joined = running.get(id);
      if (joined && joined.request !== request && joined.waiters === 0) joined.abort.abort();
      const isFull = running.size >= slots + waitingRoom;
      const reason = joined ? whyApart(joined, request) : whyClosed({ draining, isFull });
      if (reason !== null) return refused(RESULT_CODE.BUSY, reason);
      const run = joined ?? start(method, asked, request);
      run.latest = asked;
      waitFor(call, run, yieldSlots);
      return run.answer;
    },
    running: () => [...running.keys()],
    stop(ids) {
      for (const run of ids.flatMap((id) => running.get(id) ?? [])) {
        run.isOver = true;
        if (run.waiters === 0) run.abort.abort();
      }
    },
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

async function keep(
  { results, prover, onNotKept }: TaskRunsDeps,
  id: string,
  method: TaskMethod,
  request: string,
  done: Answer,
): Promise<void> {
  const answer = prover[method]!.responseSerialize(done) as Buffer;
  await results.keep(id, { method, request, answer }).catch((error: Error) => onNotKept(id, error.message));
}

/** Why a request doesn't join a task of its id. */
function whyApart(joined: TaskRun, request: string): string | null {
  const isJoinable = joined.request === request && !joined.abort.signal.aborted;
  return isJoinable ? null : "another request with its computed_request_id has not ended here";
}

function whyClosed({ draining, isFull }: { readonly draining: boolean; readonly isFull: boolean }) {
  if (draining) return "draining";
  return isFull ? "all slots are taken" : null;
}

export function refused(code: number, message: string): Answer {
  return { result: { code, message } };
}
