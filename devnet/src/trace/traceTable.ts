import { safeName } from "gevulot-sdk/node";
import type { NetworkSpan, NetworkTrace } from "./joinTraces.ts";

const BAR_CHARS = 24;
const HASH_CHARS = 8;
const MIN_WIDTH = 60;

const WORDS: Readonly<Record<NetworkSpan["name"], string>> = {
  accept: "accepted",
  "wait-parent": "waited for what it refers to",
  "fetch-files": "files fetched",
  store: "stored",
  gossip: "gossiped",
  assign: "other nodes' turn",
  queue: "scheduled",
  prepare: "workspace, boot files",
  kernel: "VM started, kernel",
  init: "init",
  program: "program",
  "task-taken": "task taken",
  result: "result handed over",
  "stop-vm": "stopped",
  collect: "output collected",
};

/**
 * The spans as lines of a table: when each began, how long it took, where, what, and its place in the whole as a bar.
 * `width`: of the terminal; without it nothing is cut.
 */
export function traceTable(
  trace: NetworkTrace,
  options: { nowMs: number; width?: number | undefined },
): string[] {
  if (trace.startedAt === null)
    return ["Nothing is noted about this run: it came before its nodes kept traces."];
  const fromMs = Date.parse(trace.startedAt);
  const wholeMs = Math.max(1, (trace.endedAt === null ? options.nowMs : Date.parse(trace.endedAt)) - fromMs);
  const rows = trace.spans.map((span) => {
    const startMs = Date.parse(span.startedAt) - fromMs;
    const tookMs = span.endedAt === null ? null : Date.parse(span.endedAt) - Date.parse(span.startedAt);
    const isInstant = tookMs === 0 && (span.name === "task-taken" || span.name === "result");
    return {
      start: `+${seconds(startMs)}`,
      took: tookMs === null ? "…" : isInstant ? "" : seconds(tookMs),
      node: span.node,
      what: whatOf(span),
      detail: safeName(span.detail),
      bar: barOf(startMs / wholeMs, (tookMs ?? wholeMs - startMs) / wholeMs),
    };
  });
  const head = { start: "start", took: "took", node: "node", what: "what", detail: "", bar: "" };
  const widest = (name: "start" | "took" | "node" | "what") =>
    Math.max(...[head, ...rows].map((row) => row[name].length));
  const [start, took, node, what] = [widest("start"), widest("took"), widest("node"), widest("what")];
  const line = (row: typeof head): string => {
    const text = `${row.start.padStart(start)}  ${row.took.padStart(took)}  ${row.node.padEnd(node)}  ${row.what.padEnd(what)}  ${row.bar.padEnd(BAR_CHARS)}  ${row.detail}`;
    return text.slice(0, Math.max(MIN_WIDTH, options.width ?? Number.POSITIVE_INFINITY)).trimEnd();
  };
  return [line(head), ...rows.map(line)];
}

function whatOf({ name, tx, kind, step, attempt }: NetworkSpan): string {
  if (tx !== null)
    return `${kind[0]?.toUpperCase()}${kind.slice(1)} ${tx.slice(0, HASH_CHARS)} ${WORDS[name]}`;
  const again = attempt !== null && attempt > 1 ? `, attempt ${attempt}` : "";
  return `step ${step}${again}: ${WORDS[name] ?? name}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`;
}

/** `    ━━━━`; what is too short for a character still has one. */
function barOf(from: number, part: number): string {
  const at = Math.min(BAR_CHARS - 1, Math.max(0, Math.floor(from * BAR_CHARS)));
  const length = Math.min(BAR_CHARS - at, Math.max(1, Math.round(part * BAR_CHARS)));
  return `${" ".repeat(at)}${(part * BAR_CHARS < 1 ? "╸" : "━").repeat(length)}`;
}
