import { safeText } from "gevulot-sdk/node";

/** What `up` shows of a node's log: one line for each step in the life of a transaction, and all warnings. */
export function runLine(json: string): string | null {
  const line = lineOf(json);
  return line === null ? null : safeText(line);
}

function lineOf(json: string): string | null {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(json);
  } catch {
    return json;
  }
  const short = (hash: unknown): string => String(hash).slice(0, 8);
  const time = new Date(String(entry.time)).toLocaleTimeString("en-GB");
  const level = Number(entry.level);
  const message = String(entry.msg);
  if (entry.kind !== undefined && message === "transaction stored") {
    return `${time}  ${String(entry.kind).padEnd(12)} ${short(entry.tx)} stored`;
  }
  if (entry.inspector !== undefined) {
    return `${time}  ${message}: ${entry.inspector} (chrome://inspect, or your editor)`;
  }
  if (entry.task !== undefined) {
    const about = entry.program ?? entry.reason ?? "";
    const where = entry.accelerator ? ` (${entry.provider}, ${entry.accelerator})` : "";
    return `${time}  run ${short(entry.run)}  step ${entry.step}: ${message} ${about}${where}`.trimEnd();
  }
  return level >= 40 ? `${time}  ${message}${entry.reason ? `: ${entry.reason}` : ""}` : null;
}
