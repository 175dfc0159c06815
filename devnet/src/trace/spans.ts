import type { TraceSpan, TraceSpanName } from "gevulot-sdk";
import type { AttemptTimes, RunTimes, StoredTimes } from "../store/readRunTimes.ts";

/** Turns what a node noted into spans, in the order of their beginning. `node`: its public key. */
export function spansOf(times: RunTimes, node: string): TraceSpan[] {
  const tasks = new Set(times.attempts.map(({ task }) => task));
  return [
    ...times.transactions.flatMap((each) => transactionSpans(each, node)),
    ...[...tasks].flatMap((id) => taskSpans(times.attempts.filter(({ task }) => task === id))),
  ].sort((a, b) => (a.startedAt < b.startedAt ? -1 : a.startedAt > b.startedAt ? 1 : 0));
}

type Piece = readonly [name: TraceSpanName, from: Date | null, to: Date | null, detail?: string];

function transactionSpans(times: StoredTimes, node: string): TraceSpan[] {
  const { tx, kind, peer, files, receivedAt, verifiedAt, readyAt, fetchedAt, storedAt } = times;
  const from = peer !== null ? "from a peer" : times.author === node ? "made here" : "from a client";
  const pieces: Piece[] = [["accept", receivedAt, verifiedAt, from]];
  // Looking up what is there takes a moment, too, and is nothing to wait for.
  if (readyAt.getTime() - verifiedAt.getTime() > LOOK_UP_MS)
    pieces.push(["wait-parent", verifiedAt, readyAt]);
  if (files > 0) pieces.push(["fetch-files", readyAt, fetchedAt, files === 1 ? "1 file" : `${files} files`]);
  pieces.push(["store", fetchedAt, storedAt]);
  return pieces.flatMap((piece) =>
    toSpan(piece, {
      tx,
      kind,
      task: null,
      step: null,
      attempt: null,
      peer: piece[0] === "accept" ? peer : null,
    }),
  );
}

const LOOK_UP_MS = 100;

function taskSpans(attempts: readonly AttemptTimes[]): TraceSpan[] {
  const first = attempts[0] as AttemptTimes;
  const { turnAt, taskQueuedAt, taskEndedAt } = first;
  const queuedAt = turnAt ?? taskQueuedAt;
  const begun = first.startedAt ?? taskEndedAt;
  const waiting: Piece[] = turnAt === null ? [] : [["assign", taskQueuedAt, turnAt]];
  waiting.push(["queue", queuedAt, begun, first.waitsFor ?? ""]);
  return [
    ...waiting.flatMap((piece) => toSpan(piece, { ...aboutTask(first), attempt: null })),
    ...attempts.flatMap((each) =>
      each.startedAt === null ? [] : attemptPieces(each).flatMap((piece) => toSpan(piece, aboutTask(each))),
    ),
  ];
}

function aboutTask({ task, step, kind, number }: AttemptTimes): About {
  return { tx: null, kind, task, step, attempt: number, peer: null };
}

/** Each ends where the next begins; one that the attempt did not come to is left out, and the last one is open. */
function attemptPieces(times: AttemptTimes): Piece[] {
  const { programName, provider, accelerator, failure } = times;
  const ended = times.endedAt;
  const isVm = provider !== "process";
  const stages: [TraceSpanName, Date | null, string][] = [
    ["prepare", times.startedAt, programName],
    ["kernel", isVm ? times.spawnedAt : null, `${provider}, ${accelerator}`],
    ["init", isVm ? times.bootedAt : times.spawnedAt, ""],
    ["program", times.programStartedAt, programName],
    ["stop-vm", times.programEndedAt, ""],
    ["collect", times.vmEndedAt, failure ?? ""],
  ];
  const reached = stages.filter(([, at]) => at !== null) as [TraceSpanName, Date, string][];
  const pieces = reached.map(([name, from, detail], index): Piece => {
    return [name, from, reached[index + 1]?.[1] ?? ended, detail];
  });
  if (times.taskTakenAt) pieces.push(["task-taken", times.taskTakenAt, times.taskTakenAt]);
  if (times.resultAt) pieces.push(["result", times.resultAt, times.resultAt]);
  return pieces;
}

type About = Pick<TraceSpan, "tx" | "kind" | "task" | "step" | "attempt" | "peer">;

function toSpan([name, from, to, detail = ""]: Piece, about: About): TraceSpan[] {
  if (from === null) return [];
  // Two clocks, the node's and the database's: a span is never shorter than nothing.
  const end = to && new Date(Math.max(from.getTime(), to.getTime()));
  return [{ name, startedAt: from.toISOString(), endedAt: end?.toISOString() ?? null, ...about, detail }];
}
