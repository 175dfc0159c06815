import { GevulotError } from "../errors.ts";
import { describe } from "../protocol/json/jsonCodec.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** An option has a value that can't be used. */
    OPTION_INVALID: { option: string };
  }
}

const MAX_U64 = 2n ** 64n - 1n;

/** `problem` says what is wanted. */
export function optionInvalid(
  option: string,
  problem: string,
  cause?: unknown,
): GevulotError<"OPTION_INVALID"> {
  return new GevulotError("OPTION_INVALID", `${option}: ${problem}`, { context: { option }, cause });
}

function wanted(option: string, what: string, value: unknown): GevulotError<"OPTION_INVALID"> {
  return optionInvalid(option, `give ${what}; it is ${describe(value)}.`);
}

// What TypeScript's types promise is looked at again, for those who write plain JavaScript. Undefined is the default.

/** Throws `OPTION_INVALID`, as all here do. */
export function checkObject(option: string, value: unknown): void {
  if (typeof value !== "object" || value === null) throw wanted(option, "an object of options", value);
}

export function checkText(option: string, value: unknown): void {
  if (typeof value !== "string") throw wanted(option, "a string", value);
}

/** Each by its name. */
export function checkMs(times: Readonly<Record<string, unknown>>): void {
  for (const [option, value] of Object.entries(times)) {
    if (value !== undefined && !(typeof value === "number" && value > 0))
      throw wanted(option, "a number of milliseconds above 0", value);
  }
}

export function checkCount(option: string, value: unknown, min = 0, max = Number.MAX_SAFE_INTEGER): void {
  if (value === undefined) return;
  if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
    throw wanted(option, `a whole number from ${min}${max < 2 ** 53 - 1 ? ` to ${max}` : ""}`, value);
}

export function checkArray(option: string, value: unknown): void {
  if (value !== undefined && !Array.isArray(value)) throw wanted(option, "an array", value);
}

export function checkNonce(value: unknown): void {
  if (value !== undefined && !(typeof value === "bigint" && value >= 0n && value <= MAX_U64))
    throw wanted("nonce", "a bigint from 0n to 2n ** 64n - 1n", value);
}

/** The controller instead of its signal is a mistake that would else be noticed when it is aborted in vain. */
export function checkSignal(value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal))
    throw wanted("signal", "an AbortSignal, as a controller's signal", value);
}

export function checkFunction(option: string, value: unknown): void {
  if (value !== undefined && typeof value !== "function") throw wanted(option, "a function", value);
}

export function checkHttpUrl(option: string, value: unknown): void {
  if (typeof value !== "string" || !/^https?:\/\//i.test(value) || !URL.canParse(value))
    throw wanted(option, "an address like http://127.0.0.1:9944", value);
}
