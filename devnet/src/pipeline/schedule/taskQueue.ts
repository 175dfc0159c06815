import PgBoss from "pg-boss";
import type { Logger } from "pino";
import type { Database, Queryable } from "../../store/database.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { TASK_TYPE } from "../store/statuses.ts";

export interface QueuedTask {
  readonly id: string;
  readonly kind: TaskKind;
  readonly priority: number;
}

/**
 * Who works on what: claims, retries and time-outs over all stages of a database, kept by pg-boss. What is put in, and
 * when, is decided above it (chooseReleases.ts); so the queue holds only what can soon start.
 */
export interface TaskQueue extends AsyncDisposable {
  add(client: Queryable, tasks: readonly QueuedTask[]): Promise<void>;
  /** Takes up to `limit` tasks; nobody else gets them until they are finished, put back or expired. */
  claim(client: Queryable, kind: TaskKind, limit: number): Promise<string[]>;
  finish(client: Queryable, tasks: readonly Pick<QueuedTask, "id" | "kind">[]): Promise<void>;
  /** Put back after a failure: it can be claimed again after a growing delay. */
  retry(client: Queryable, task: Pick<QueuedTask, "id" | "kind">): Promise<void>;
  /** Put back without it being the task's fault: it can be claimed again soon. */
  giveBack(client: Queryable, task: QueuedTask): Promise<void>;
  drop(client: Queryable, tasks: readonly Pick<QueuedTask, "id" | "kind">[]): Promise<void>;
}

const SCHEMA = "pipeline_queue";
const RETRY_DELAY_SECONDS = 1;
const RETRY_LIMIT = 100;
/** Longer than any step's own deadline: only a stage that was lost in silence leaves a task to it. */
const EXPIRE_SECONDS = 12 * 3_600;
const ARCHIVE_AFTER_SECONDS = 600;
const GIVE_BACK_MS = 1_000;

export async function createTaskQueue(deps: {
  readonly log: Logger;
  readonly database: Database;
}): Promise<TaskQueue> {
  const boss = new PgBoss({
    db: connection(deps.database),
    schema: SCHEMA,
    schedule: false,
    supervise: true,
    archiveCompletedAfterSeconds: ARCHIVE_AFTER_SECONDS,
  });
  boss.on("error", (error) => deps.log.warn({ reason: error.message }, "the queue's maintenance failed"));
  await boss.start();
  for (const kind of Object.keys(TASK_TYPE)) await boss.createQueue(kind);

  const add = (client: Queryable, tasks: readonly QueuedTask[], startAfter?: Date) =>
    boss.insert(
      tasks.map(({ id, kind, priority }) => ({
        ...{ id, name: kind, priority, retryLimit: RETRY_LIMIT, retryDelay: RETRY_DELAY_SECONDS },
        ...{ retryBackoff: true, expireInSeconds: EXPIRE_SECONDS, ...(startAfter && { startAfter }) },
      })),
      { db: connection(client) },
    );
  return {
    add: (client, tasks) => add(client, tasks),
    claim: async (client, kind, limit) =>
      (await boss.fetch(kind, { batchSize: limit, db: connection(client) })).map((job) => job.id),
    async finish(client, tasks) {
      for (const [kind, ids] of idsByKind(tasks)) await boss.complete(kind, ids, { db: connection(client) });
    },
    retry: (client, { kind, id }) => boss.fail(kind, id, { db: connection(client) }),
    async giveBack(client, task) {
      await boss.deleteJob(task.kind, task.id, { db: connection(client) });
      await add(client, [task], new Date(Date.now() + GIVE_BACK_MS));
    },
    async drop(client, tasks) {
      for (const [kind, ids] of idsByKind(tasks)) await boss.deleteJob(kind, ids, { db: connection(client) });
    },
    [Symbol.asyncDispose]: () => boss.stop({ graceful: false, wait: false, close: false }),
  };
}

function idsByKind(tasks: readonly Pick<QueuedTask, "id" | "kind">[]): Map<TaskKind, string[]> {
  const ids = new Map<TaskKind, string[]>();
  for (const { id, kind } of tasks) ids.set(kind, [...(ids.get(kind) ?? []), id]);
  return ids;
}

/** So that a task's row and its place in the queue change in one commit. */
function connection(client: Queryable): PgBoss.Db {
  return { executeSql: (text, values) => client.query(text, values) };
}
