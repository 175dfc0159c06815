import { GevulotError } from "../errors.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** Text that should be standard, padded base64 is not; `offset` counts characters. */
    BASE64_INVALID: { offset: number };
  }
}

const ALPHABET = new TextEncoder().encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PAD = 61;
const NOT_A_DIGIT = 255;
const VALUES = new Uint8Array(256).fill(NOT_A_DIGIT);
ALPHABET.forEach((char, value) => {
  VALUES[char] = value;
});

/** Standard base64 with padding. */
export function bytesToBase64(bytes: Uint8Array): string {
  const chars = new Uint8Array(Math.ceil(bytes.length / 3) * 4);
  for (let from = 0, to = 0; from < bytes.length; from += 3, to += 4) {
    const left = bytes.length - from;
    const bits = (bytes[from]! << 16) | ((bytes[from + 1] ?? 0) << 8) | (bytes[from + 2] ?? 0);
    chars[to] = ALPHABET[bits >> 18]!;
    chars[to + 1] = ALPHABET[(bits >> 12) & 63]!;
    chars[to + 2] = left > 1 ? ALPHABET[(bits >> 6) & 63]! : PAD;
    chars[to + 3] = left > 2 ? ALPHABET[bits & 63]! : PAD;
  }
  return new TextDecoder().decode(chars);
}

/**
 * Reads standard base64 with padding. One text per byte string: white space, the URL alphabet, missing padding and
 * stray bits are refused with `BASE64_INVALID`.
 */
export function base64ToBytes(text: string): Uint8Array {
  if (text.length % 4 !== 0) throw invalid(text.length);
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  const end = text.length - padding;
  let bits = 0;
  let bitCount = 0;
  let to = 0;
  for (let from = 0; from < end; from++) {
    const code = text.charCodeAt(from);
    const value = code < VALUES.length ? VALUES[code]! : NOT_A_DIGIT;
    if (value === NOT_A_DIGIT) throw invalid(from);
    bits = ((bits << 6) | value) & 0xffffff;
    bitCount += 6;
    if (bitCount >= 8) {
      bitCount -= 8;
      bytes[to++] = (bits >> bitCount) & 255;
    }
  }
  if ((bits & ((1 << bitCount) - 1)) !== 0) throw invalid(end - 1);
  return bytes;
}

function invalid(offset: number): GevulotError<"BASE64_INVALID"> {
  return new GevulotError(
    "BASE64_INVALID",
    `Not base64 at character ${offset}; give the standard alphabet with padding.`,
    { context: { offset } },
  );
}
