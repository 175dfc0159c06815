import type { Hash } from "gevulot-sdk/protocol";
import type { Queryable } from "./database.ts";

/** What is noted here about when things happened with a Run. */
export interface RunTimes {
  readonly transactions: readonly StoredTimes[];
  readonly attempts: readonly AttemptTimes[];
}

export interface StoredTimes {
  readonly tx: Hash;
  readonly kind: "run" | "proof" | "verification";
  readonly author: string;
  readonly peer: string | null;
  readonly files: number;
  readonly receivedAt: Date;
  readonly verifiedAt: Date;
  readonly readyAt: Date;
  readonly fetchedAt: Date;
  readonly storedAt: Date;
}

/** A task with one of its attempts; `number` is null for one that was not begun. */
export interface AttemptTimes {
  readonly task: string;
  readonly step: number;
  readonly kind: "proof" | "verification";
  readonly programName: string;
  readonly state: "queued" | "running" | "done" | "failed";
  readonly waitsFor: string | null;
  readonly turnAt: Date | null;
  readonly taskQueuedAt: Date;
  readonly taskEndedAt: Date | null;
  readonly number: number | null;
  readonly provider: string | null;
  readonly accelerator: string | null;
  readonly failure: string | null;
  readonly startedAt: Date | null;
  readonly spawnedAt: Date | null;
  readonly bootedAt: Date | null;
  readonly programStartedAt: Date | null;
  readonly taskTakenAt: Date | null;
  readonly resultAt: Date | null;
  readonly programEndedAt: Date | null;
  readonly vmEndedAt: Date | null;
  readonly endedAt: Date | null;
}

/** @returns null where the Run is not stored here. Oldest first, at most `limit` of each. */
export async function readRunTimes(client: Queryable, run: Hash, limit: number): Promise<RunTimes | null> {
  const [known, transactions, attempts] = await Promise.all([
    client.query("select 1 from transaction where hash = $1 and kind = 'run'", [run]),
    client.query<StoredTimes>(
      `select t.tx, tx.kind, tx.author, t.peer, t.files, t.received_at as "receivedAt",
         t.verified_at as "verifiedAt", t.ready_at as "readyAt", t.fetched_at as "fetchedAt",
         t.stored_at as "storedAt"
       from transaction_times t join transaction tx on tx.hash = t.tx
       where t.run = $1 order by t.received_at, t.tx limit $2`,
      [run, limit],
    ),
    client.query<AttemptTimes>(
      `select task.id as task, task.step, task.kind, program.name as "programName", task.state,
         task.waits_for as "waitsFor", task.turn_at as "turnAt", task.queued_at as "taskQueuedAt",
         task.ended_at as "taskEndedAt", a.number, a.provider, a.accelerator, a.failure->>'code' as failure,
         a.started_at as "startedAt", a.spawned_at as "spawnedAt", a.booted_at as "bootedAt",
         a.program_started_at as "programStartedAt", a.task_taken_at as "taskTakenAt",
         a.result_at as "resultAt", a.program_ended_at as "programEndedAt", a.vm_ended_at as "vmEndedAt",
         a.ended_at as "endedAt"
       from task join program on program.hash = task.program left join task_attempt a on a.task = task.id
       where task.run = $1 and task.state <> 'standby'
       order by task.queued_at, task.id, a.number limit $2`,
      [run, limit],
    ),
  ]);
  if (known.rowCount === 0) return null;
  return { transactions: transactions.rows, attempts: attempts.rows };
}
