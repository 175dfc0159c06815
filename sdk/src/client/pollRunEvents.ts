import { getRunStatus } from "../actions/getRunStatus.ts";
import type { ClientContext } from "../context/context.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { RunStatus, TaskStatus } from "../runStatus.ts";
import { cancelled } from "../transport/cancelled.ts";
import { delay } from "../transport/deadline.ts";
import type { RunEvent } from "./runEvents.ts";

const FIRST_INTERVAL_MS = 50;
const MAX_INTERVAL_MS = 500;
const INTERVAL_GROWTH = 1.3;

/** The events of a Run as `getRunStatus` shows them, for nodes without a stream of events. Throws as that does. */
export async function* pollRunEvents(
  context: ClientContext,
  run: Hash,
  signal: AbortSignal,
): AsyncGenerator<RunEvent, void> {
  const told = new Set<string>();
  for (
    let intervalMs = FIRST_INTERVAL_MS;
    ;
    intervalMs = Math.min(MAX_INTERVAL_MS, intervalMs * INTERVAL_GROWTH)
  ) {
    const status = await getRunStatus(context, run, { signal });
    for (const event of eventsOfStatus(status)) {
      const key = [event.name, event.task, event.attempt, event.proof, event.verification].join();
      if (told.has(key)) continue;
      told.add(key);
      yield event;
    }
    if (status.state === "complete" || status.state === "failed") return;
    await delay(intervalMs, signal).catch(() => {
      throw cancelled(`the events of run ${run}`, signal);
    });
  }
}

/** In the order of a Run's course. A status keeps no time of a Proof: it is that of its task's end. */
function eventsOfStatus(status: RunStatus): RunEvent[] {
  const { run } = status;
  const events: RunEvent[] = [{ name: "submitted", run, at: status.submittedAt }];
  for (const task of status.tasks) {
    events.push(...eventsOfTask(run, task));
    const at = task.attempts.at(-1)?.endedAt ?? status.endedAt ?? status.submittedAt;
    if (task.kind === "proof" && task.result !== null) {
      events.push({ name: "proof", run, at, task: task.id, step: task.step, proof: task.result });
    }
  }
  const at = status.endedAt ?? status.submittedAt;
  const told = new Set(events.map(({ proof }) => proof));
  for (const proof of status.proofs) if (!told.has(proof)) events.push({ name: "proof", run, at, proof });
  const [verification] = status.verifications;
  if (verification !== undefined) events.push({ name: "verified", run, at, verification });
  if (status.state === "failed") {
    const { failure } = status;
    events.push({ name: "failed", run, at, ...(failure && { step: failure.step, failure }) });
  }
  return events;
}

function eventsOfTask(run: Hash, task: TaskStatus): RunEvent[] {
  return task.attempts.flatMap((attempt): RunEvent[] => {
    const about = { run, task: task.id, step: task.step, attempt: attempt.number };
    const { startedAt, bootedAt, programStartedAt } = attempt;
    const started = bootedAt ?? programStartedAt;
    return [
      { name: "scheduled", at: startedAt, ...about },
      ...(started ? [{ name: "vm-started" as const, at: started, ...about }] : []),
      ...(programStartedAt
        ? [
            {
              name: task.kind === "proof" ? ("proving" as const) : ("verifying" as const),
              at: programStartedAt,
              ...about,
            },
          ]
        : []),
    ];
  });
}
