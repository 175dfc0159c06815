import type { TaskStatus } from "gevulot-sdk";
import type { Logger } from "pino";
import type { Database } from "../store/database.ts";
import { readTaskStatuses } from "../store/readRunStatus.ts";
import { readSharing } from "../store/sharedRuns.ts";
import { readReports, storeReport } from "../store/taskReports.ts";
import { signReport } from "./taskReport.ts";

export interface ReporterDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly nodeSecretKey: Uint8Array;
  readonly ownKey: string;
  /** Sends a signed report to the other nodes. */
  readonly announce: (report: Uint8Array) => void;
}

/**
 * Reports what happened to this node's tasks of a Run, where other nodes share it. What was reported is stored, so that
 * a report is made once, also after a restart.
 */
export async function reportTasks(deps: ReporterDeps, run: string): Promise<void> {
  const { database, ownKey: author } = deps;
  if ((await readSharing(database, run)) === null) return;
  const own = (await readTaskStatuses(database, run, author)).map(({ status }) => status).filter(isTelling);
  if (own.length === 0) return;
  const sent = new Map<string, { readonly task: TaskStatus; readonly sentAt: Date }>();
  for (const report of await readReports(database, run)) {
    if (report.author === author) sent.set(report.task.id, report);
  }
  for (const task of own) {
    const last = sent.get(task.id);
    if (last && stageOf(last.task) === stageOf(task)) continue;
    // Two in one millisecond must be told apart.
    const sentAt = new Date(Math.max(Date.now(), (last?.sentAt.getTime() ?? 0) + 1));
    const bytes = signReport({ run, sentAt, task }, deps.nodeSecretKey);
    const stored = await storeReport(database, { author, run, sentAt, task, bytes });
    if (stored === "stored") deps.announce(bytes);
  }
}

/** One that only waits says nothing that others need. */
function isTelling({ state, attempts }: TaskStatus): boolean {
  return state !== "queued" || attempts.length > 0;
}

/** What is worth a report when it changes. */
function stageOf({ state, attempts }: TaskStatus): string {
  const last = attempts.at(-1);
  return [state, last?.number, last?.programStartedAt != null, last?.endedAt != null].join(" ");
}
