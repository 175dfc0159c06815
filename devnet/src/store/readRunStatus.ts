import type { RunState, RunStatus, TaskAttempt, TaskFailure, TaskStatus } from "gevulot-sdk";
import type { Queryable } from "./database.ts";
import { readReports } from "./taskReports.ts";
import { readUnreachedPeers } from "./unreachedPeers.ts";

/**
 * @param node this node's public key
 * @returns where a Run stands, or null where it is unknown here.
 */
export async function readRunStatus(
  database: Queryable,
  run: string,
  node: string,
): Promise<RunStatus | null> {
  const [submitted, steps, own, proofs, verifications, shared, reports, unreached] = await Promise.all([
    database.query<{ created_at: Date }>(
      "select created_at from transaction where hash = $1 and kind = 'run'",
      [run],
    ),
    database.query<{ program: string }>("select program from workflow_step where tx = $1 order by sequence", [
      run,
    ]),
    readTaskStatuses(database, run, node),
    database.query<{ tx: string; prover: string; created_at: Date }>(
      "select tx, prover, created_at from counted_proof where run = $1 order by created_at, tx",
      [run],
    ),
    database.query<{ tx: string; created_at: Date }>(
      "select tx, created_at from counted_verification where run = $1 order by created_at, tx",
      [run],
    ),
    database.query<{ failure: TaskFailure | null; ended_at: Date | null }>(
      "select failure, ended_at from shared_run where run = $1",
      [run],
    ),
    readReports(database, run),
    readUnreachedPeers(database, run),
  ]);
  if (!submitted.rows[0]) return null;
  const ids = new Set(own.map(({ status }) => status.id));
  // What other nodes say of their tasks.
  const tasks = [
    ...own.map(({ status }) => status),
    ...reports.filter(({ task }) => !ids.has(task.id)).map(({ task, author }) => ({ ...task, node: author })),
  ].sort((a, b) => a.step - b.step);
  const failed = shared.rows[0]
    ? { failure: shared.rows[0].failure, endedAt: shared.rows[0].ended_at }
    : failureOf(own);
  const last = steps.rows.length === 1 ? proofs.rows[0] : verifications.rows[0];
  // What the last step verifies.
  const proven = proofs.rows.some(({ prover }) => prover === steps.rows.at(-2)?.program);
  // A Run that was cancelled before its end stays failed, whatever comes later.
  const isComplete = last !== undefined && failed.failure?.code !== "CANCELLED";
  const state = stateOf(isComplete, failed.failure !== null, proven, tasks);
  const endedAt = state === "complete" ? last?.created_at : state === "failed" ? failed.endedAt : undefined;
  return {
    run,
    state,
    submittedAt: submitted.rows[0].created_at.toISOString(),
    endedAt: endedAt?.toISOString() ?? null,
    tasks,
    proofs: proofs.rows.map((row) => row.tx),
    verifications: verifications.rows.map((row) => row.tx),
    unreached,
    failure: state === "failed" ? failed.failure : null,
  };
}

/** A Run of this node alone fails with its first task that does. */
function failureOf(tasks: readonly TimedTask[]) {
  const failed = tasks.find((task) => task.status.failure !== null);
  return { failure: failed?.status.failure ?? null, endedAt: failed?.endedAt ?? null };
}

function stateOf(
  complete: boolean,
  failed: boolean,
  proven: boolean,
  tasks: readonly TaskStatus[],
): RunState {
  if (complete) return "complete";
  if (failed) return "failed";
  if (proven) return "verifying";
  return tasks.some((task) => task.attempts.length > 0) ? "proving" : "submitted";
}

export interface TimedTask {
  readonly status: TaskStatus;
  readonly endedAt: Date | null;
}

/** The tasks of this node, oldest first; without those that wait for another's turn to end. */
export async function readTaskStatuses(database: Queryable, run: string, node: string): Promise<TimedTask[]> {
  const [tasks, attempts] = await Promise.all([
    database.query<TaskRow>(
      `select task.*, program.name as program_name from task join program on program.hash = task.program
       where run = $1 and state <> 'standby' order by step, queued_at, id`,
      [run],
    ),
    database.query<AttemptRow>(
      `select a.* from task_attempt a join task on task.id = a.task where task.run = $1 order by a.number`,
      [run],
    ),
  ]);
  return tasks.rows.map((row) => ({
    endedAt: row.ended_at,
    status: {
      id: row.id,
      node,
      step: row.step,
      kind: row.kind,
      program: row.program,
      programName: row.program_name,
      proof: row.kind === "verification" ? row.proof : null,
      state: row.state,
      waitsFor: row.waits_for,
      attempts: attempts.rows.filter((attempt) => attempt.task === row.id).map(toAttempt),
      result: row.result,
      failure: row.failure,
    },
  }));
}

interface TaskRow {
  id: string;
  step: number;
  kind: TaskStatus["kind"];
  program: string;
  program_name: string;
  proof: string | null;
  state: TaskStatus["state"];
  waits_for: string | null;
  ended_at: Date | null;
  result: string | null;
  failure: TaskFailure | null;
}

interface AttemptRow {
  task: string;
  number: number;
  provider: TaskAttempt["provider"];
  accelerator: TaskAttempt["accelerator"];
  vsock: TaskAttempt["vsock"];
  pid: number | null;
  image_checksum: string;
  queued_at: Date;
  started_at: Date;
  booted_at: Date | null;
  program_started_at: Date | null;
  ended_at: Date | null;
  failure: TaskFailure | null;
  console_tail: string;
  peak_mem_bytes: string | null;
  output_bytes: string | null;
}

function toAttempt(row: AttemptRow): TaskAttempt {
  return {
    number: row.number,
    provider: row.provider,
    accelerator: row.accelerator,
    vsock: row.vsock,
    pid: row.pid,
    imageChecksum: row.image_checksum,
    queuedAt: row.queued_at.toISOString(),
    startedAt: row.started_at.toISOString(),
    bootedAt: row.booted_at?.toISOString() ?? null,
    programStartedAt: row.program_started_at?.toISOString() ?? null,
    endedAt: row.ended_at?.toISOString() ?? null,
    failure: row.failure,
    consoleTail: row.console_tail,
    peakMemBytes: row.peak_mem_bytes === null ? null : Number(row.peak_mem_bytes),
    outputBytes: row.output_bytes === null ? null : Number(row.output_bytes),
  };
}
