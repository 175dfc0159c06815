import type { Logger } from "pino";
import { createRounds, createSingle } from "../../rounds.ts";
import type { Database } from "../../store/database.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { type RoundAsk, type RoundFindings, readRound } from "../store/rounds.ts";
import { readOrphanedTasks, removeStage } from "../store/stages.ts";
import { RUN_STATUS } from "../store/statuses.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { RunDriver } from "./runDriver.ts";
import type { Unserved } from "./unserved.ts";

const EVERY_MS = 2_000;

export interface HousekeepingDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly driver: RunDriver;
  readonly dispatcher: Dispatcher;
  readonly unserved: Unserved;
  /** Tasks that nodes say they work on. */
  readonly heard: () => readonly string[];
  /** Those of them whose runs are over. */
  readonly onUnwanted: (ids: readonly string[]) => void;
  readonly stageId: string;
  readonly addr: string;
}

/**
 * Every few seconds: this stage's sign of life; tasks of dead stages taken back; runs ended that are past their deadline, or
 * of which all is done; calls aborted for tasks that nobody wants any more. The first round, which gives back what an earlier
 * process of this stage left, is done when this returns.
 */
export async function createHousekeeping(deps: HousekeepingDeps): Promise<AsyncDisposable> {
  const { log, database, driver, dispatcher, stageId } = deps;
  const mending = createSingle();
  const placing = new Set<Promise<void>>();
  const round = async (): Promise<void> => {
    const asks = { stageId, addr: deps.addr, held: dispatcher.held(), heard: deps.heard() };
    const found = await readRound(database, asks);
    dispatcher.abort(found.over);
    deps.onUnwanted(found.unwanted);
    tellUnserved(found.ready);
    if (found.ready.length > 0) dispatcher.wake();
    else dispatcher.rest();
    // What may wait for a run's lock, or for S3, keeps nobody from beating: others take what a silent stage has.
    const placed = driver.succeed(found.complete).finally(() => placing.delete(placed));
    placing.add(placed);
    mending.begin(() => mend(found, asks).catch(tell));
  };
  const mend = async (found: RoundFindings, asks: RoundAsk): Promise<void> => {
    if (found.hasOrphans) await takeBack(asks);
    for (const runId of found.late) {
      await driver.end(runId, RUN_STATUS.INTERNAL_ERROR, "the run's deadline passed");
    }
    for (const runId of found.unplaced) {
      const error =
        "the stage died before the run's data was in place: submit it again, with another proof_id";
      await driver.end(runId, RUN_STATUS.INTERNAL_ERROR, error);
    }
  };
  const takeBack = async (asks: RoundAsk): Promise<void> => {
    for (const task of await readOrphanedTasks(database, asks)) {
      // It began while the database was asked.
      if (dispatcher.held().includes(task.id)) continue;
      log.warn({ run: task.proofId, task: task.planned.key }, "a task that no stage watches is taken back");
      const error = "no stage watched it any more";
      await driver.setBack(task, { outcome: "unwatched", error, node: task.node ?? "" });
    }
  };
  /** Kinds that waited for a node in the last round, and whether that is told. */
  let told = new Map<TaskKind, boolean>();
  const tellUnserved = (ready: readonly TaskKind[]): void => {
    const waiting = deps.unserved.refresh(ready);
    for (const [kind, reason] of waiting) {
      // Not at once: after a start nodes need a moment to register.
      if (told.get(kind) === false) log.warn({ kind, reason }, "tasks wait that no node can do");
    }
    told = new Map([...waiting.keys()].map((kind) => [kind, told.has(kind)]));
  };
  const tell = ({ message: reason }: Error): void =>
    log.warn({ reason }, "the stage's look at its runs failed; trying again");

  const first = round();
  await first;
  await mending.ended();
  const rounds = createRounds(() => round().catch(tell), EVERY_MS, first);
  return {
    async [Symbol.asyncDispose]() {
      await rounds[Symbol.asyncDispose]();
      await Promise.all([mending.ended(), ...placing]);
      // So that others need not wait for its silence.
      await removeStage(database, stageId).catch(() => {});
    },
  };
}
