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
  /** Puts tasks back, also those that are in the queue no more: they can be claimed again after the delay. */
  giveBack(client: Queryable, tasks: readonly QueuedTask[], delayMs: number): Promise<void>;
  drop(client: Queryable, tasks: readonly Pick<QueuedTask, "id" | "kind">[]): Promise<void>;
}

/** Its types know no connection for several tasks at once, which comes after the data, as for one. */
type CompleteMany = (
  kind: TaskKind,
  ids: string[],
  data: object,
  options: PgBoss.ConnectionOptions,
) => Promise<void>;

const SCHEMA = "pipeline_queue";
const RETRY_LIMIT = 100;
const ARCHIVE_AFTER_SECONDS = 600;
/** Nodes of a kind may be away for months: pg-boss's own limit is two weeks, after which the task would be in no queue. */
const KEEP_UNTIL = "9999-12-31T00:00:00Z";

export async function createTaskQueue(
  deps: { readonly log: Logger; readonly database: Database },
  /** Longer than any task may take: who has one then is gone. */
  options: { readonly expireSeconds: number },
): Promise<TaskQueue> {
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

  const complete = boss.complete.bind(boss) as CompleteMany;
  const add = (client: Queryable, tasks: readonly QueuedTask[], delayMs = 0) =>
    boss.insert(
      tasks.map(({ id, kind, priority }) => ({
        ...{ id, name: kind, priority, retryLimit: RETRY_LIMIT, expireInSeconds: options.expireSeconds },
        keepUntil: KEEP_UNTIL,
        // In seconds, by the database's clock.
        startAfter: String(delayMs / 1_000),
      })),
      { db: connection(client) },
    );
  const drop: TaskQueue["drop"] = async (client, tasks) => {
    for (const [kind, ids] of idsByKind(tasks)) await boss.deleteJob(kind, ids, { db: connection(client) });
  };
  return {
    add: (client, tasks) => add(client, tasks),
    claim: async (client, kind, limit) =>
      (await boss.fetch(kind, { batchSize: limit, db: connection(client) })).map((job) => job.id),
    async finish(client, tasks) {
      for (const [kind, ids] of idsByKind(tasks)) await complete(kind, ids, {}, { db: connection(client) });
    },
    async giveBack(client, tasks, delayMs) {
      if (tasks.length === 0) return;
      await drop(client, tasks);
      await add(client, tasks, delayMs);
    },
    drop,
    [Symbol.asyncDispose]: () => boss.stop({ graceful: false, wait: false, close: false }),
  };
}

function idsByKind(tasks: readonly Pick<QueuedTask, "id" | "kind">[]): Map<TaskKind, string[]> {
  const ids = new Map<TaskKind, string[]>();
  for (const { id, kind } of tasks) {
    const known = ids.get(kind);
    if (known) known.push(id);
    else ids.set(kind, [id]);
  }
  return ids;
}

/** So that a task's row and its place in the queue change in one commit. */
function connection(client: Queryable): PgBoss.Db {
  return { executeSql: (text, values) => client.query(text, values) };
}
