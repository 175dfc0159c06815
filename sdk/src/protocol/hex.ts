import { GevulotError } from "../errors.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** Text that should be hex digits is not. */
    HEX_INVALID: { text: string };
  }
}

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));
const EXCERPT_CHARS = 80;

/** Lowercase hex, two digits a byte. */
export function bytesToHex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += DIGITS[byte];
  return text;
}

/** Reads hex of either case, without a prefix. Throws `HEX_INVALID`. */
export function hexToBytes(text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new GevulotError(
      "HEX_INVALID",
      `"${text.slice(0, EXCERPT_CHARS)}" is not hex; give an even number of the digits 0-9 and a-f, without 0x.`,
      { context: { text: text.slice(0, EXCERPT_CHARS) } },
    );
  }
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}
