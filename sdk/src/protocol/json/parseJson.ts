import { GevulotError } from "../../errors.ts";
import { bytesToHex } from "../hex.ts";

declare module "../../errors.ts" {
  interface ErrorContexts {
    JSON_INVALID: { reason: "malformed" | "tooLong" | "tooDeep" | "integerTooLong"; offset: number | null };
  }
}

export interface ParseJsonOptions {
  /** Longest text, in UTF-16 units; default 128 Mi, twice the RPC's default body limit. */
  readonly maxChars?: number;
  /** Deepest nesting of arrays and objects; default 128. */
  readonly maxDepth?: number;
}

export const DEFAULT_MAX_JSON_CHARS = 128 * 1024 * 1024;
export const DEFAULT_MAX_JSON_DEPTH = 128;
/** Reading an integer takes time in the square of its digits. */
const MAX_INTEGER_DIGITS = 1024;
const QUOTE = '"';

/**
 * A large integer goes through `JSON.parse` as a string that begins with this. It is drawn anew in each process, so
 * that no string in a body can pass for one.
 */
const TAG = bytesToHex(crypto.getRandomValues(new Uint8Array(16)));

/**
 * `JSON.parse`, but integers beyond ±(2^53-1) come as bigints with every digit; all other numbers are numbers. Throws
 * `JSON_INVALID`, also for text that is longer or nested deeper than the options allow.
 */
export function parseJson(text: string, options: ParseJsonOptions = {}): unknown {
  const { maxChars = DEFAULT_MAX_JSON_CHARS, maxDepth = DEFAULT_MAX_JSON_DEPTH } = options;
  if (text.length > maxChars) {
    throw invalid("tooLong", `${text.length} characters, more than the limit of ${maxChars}`, null);
  }
  const cuts = findLargeIntegers(text, maxDepth);
  let value: unknown;
  try {
    value = JSON.parse(cuts.length === 0 ? text : tagIntegers(text, cuts));
  } catch (cause) {
    // V8's message quotes the text, and the tag with it, so it stays in the cause only.
    throw invalid("malformed", "it is not well-formed", null, cuts.length === 0 ? cause : undefined);
  }
  return cuts.length === 0 ? value : restore(value);
}

interface Cut {
  readonly from: number;
  readonly to: number;
}

/** Brackets, string openings, and numbers of 16 characters or more: every integer of fewer is below 2^53. */
const POINTS_OF_INTEREST = /["[\]{}]|-?[0-9][0-9.eE+-]{15,}/g;

/** One pass over the text: finds the large integers, skips strings, and measures depth before `JSON.parse` recurses. */
function findLargeIntegers(text: string, maxDepth: number): Cut[] {
  const cuts: Cut[] = [];
  const points = new RegExp(POINTS_OF_INTEREST);
  let depth = 0;
  for (let match = points.exec(text); match !== null; match = points.exec(text)) {
    const [found] = match;
    const from = match.index;
    if (found === QUOTE) points.lastIndex = endOfString(text, from);
    else if (found === "[" || found === "{") {
      if (++depth > maxDepth) throw invalid("tooDeep", `it is nested deeper than ${maxDepth}`, from);
    } else if (found === "]" || found === "}") depth--;
    else if (isLargeInteger(text, from, points.lastIndex)) cuts.push({ from, to: points.lastIndex });
  }
  return cuts;
}

/** The index after the closing quote, or the text's end where there is none. */
function endOfString(text: string, open: number): number {
  for (let quote = text.indexOf(QUOTE, open + 1); quote >= 0; quote = text.indexOf(QUOTE, quote + 1)) {
    let backslashes = 0;
    while (text[quote - 1 - backslashes] === "\\") backslashes++;
    if (backslashes % 2 === 0) return quote + 1;
  }
  return text.length;
}

/** Only what `JSON.parse` itself would take for an integer, where it takes one: never what becomes valid by quoting. */
function isLargeInteger(text: string, from: number, to: number): boolean {
  const digits = text.slice(from, to);
  if (!/^-?[1-9][0-9]*$/.test(digits)) return false;
  if (digits.length > MAX_INTEGER_DIGITS) {
    throw invalid("integerTooLong", `an integer has more than ${MAX_INTEGER_DIGITS} digits`, from);
  }
  if (Number.isSafeInteger(Number(digits))) return false;
  // Quoted, a number in the place of an object's key would become a key.
  let after = to;
  while (/[ \t\r\n]/.test(text.charAt(after))) after++;
  return text.charAt(after) !== ":";
}

function tagIntegers(text: string, cuts: readonly Cut[]): string {
  const parts: string[] = [];
  let done = 0;
  for (const { from, to } of cuts) {
    parts.push(text.slice(done, from), `"${TAG}${text.slice(from, to)}"`);
    done = to;
  }
  parts.push(text.slice(done));
  return parts.join("");
}

/** Walks in place: a reviver would make a call for every byte of a proof. Depth is bounded by now. */
function restore(value: unknown): unknown {
  if (typeof value === "string") return value.startsWith(TAG) ? BigInt(value.slice(TAG.length)) : value;
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) if (typeof value[i] !== "number") value[i] = restore(value[i]);
    return value;
  }
  const object = value as Record<string, unknown>;
  for (const name of Object.keys(object)) object[name] = restore(object[name]);
  return object;
}

function invalid(
  reason: "malformed" | "tooLong" | "tooDeep" | "integerTooLong",
  problem: string,
  offset: number | null,
  cause?: unknown,
): GevulotError<"JSON_INVALID"> {
  const where = offset === null ? "" : ` at character ${offset}`;
  return new GevulotError("JSON_INVALID", `Can't read the JSON${where}: ${problem}.`, {
    context: { reason, offset },
    cause,
  });
}
