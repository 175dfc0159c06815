import { safeText } from "gevulot-sdk/node";

/** One entry of a node's log; what follows a line that is no JSON belongs to it. */
export interface LogEntry {
  readonly node: string;
  /** ISO 8601; of a line that is no JSON, that of the entry before it. */
  readonly time: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

const LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;
export type LogLevel = (typeof LEVELS)[number];

const LEVEL_STEP = 10;
const HASH = /\b[0-9a-f]{64,}\b/g;
const HASH_CHARS = 12;
const LEVEL_CHARS = 5;
/** Of a terminal: yellow and red. */
const COLOURS = { warn: 33, error: 31, fatal: 31 } as const;

/** Reads the lines of one node's log in their order. */
export function createEntryReader(node: string): (line: string) => LogEntry {
  let time = "";
  return (line) => {
    try {
      const { level, time: at, msg, ...fields } = JSON.parse(line) as Record<string, unknown>;
      time = String(at ?? time);
      const known = LEVELS[Number(level) / LEVEL_STEP - 1] ?? "info";
      return { node, time, level: known, message: String(msg ?? ""), fields };
    } catch {
      return { node, time, level: "info", message: line, fields: {} };
    }
  };
}

/** For people: local time, node, level, message, and the fields, hashes cut short. */
export function entryText({ node, time, level, message, fields }: LogEntry, isColoured: boolean): string {
  const at = new Date(time);
  const clock = Number.isNaN(at.getTime())
    ? ""
    : `${at.toLocaleTimeString("en-GB")}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  const { err, ...others } = fields;
  const said = Object.entries(others).map(([name, value]) => `${name}=${valueText(value)}`);
  const colour = COLOURS[level as keyof typeof COLOURS];
  const padded = level.padEnd(LEVEL_CHARS);
  const shown = isColoured && colour !== undefined ? `\u001b[${colour}m${padded}\u001b[39m` : padded;
  const line = [clock.padEnd(12), node, shown, message, ...said].join(" ").trimEnd();
  return safeText(err === undefined ? line : `${line}\n${errorText(err)}`);
}

function valueText(value: unknown): string {
  const text = typeof value === "string" ? value : (JSON.stringify(value) ?? "");
  const short = text.replace(HASH, (hash) => hash.slice(0, HASH_CHARS));
  return /[\s"=]/.test(short) || short === "" ? JSON.stringify(short) : short;
}

function errorText(error: unknown): string {
  const { stack, message } = Object(error) as { stack?: string; message?: string };
  return (stack ?? message ?? String(error)).replace(/^/gm, "    ");
}
