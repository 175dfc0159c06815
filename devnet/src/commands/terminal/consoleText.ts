import { safeText } from "gevulot-sdk/node";

/** A program's console as it comes, for a terminal. A character, or an order to the terminal, may come in two parts. */
export function createConsoleText(): (chunk: Uint8Array) => string {
  const decoder = new TextDecoder();
  return (chunk) => safeText(decoder.decode(chunk, { stream: true }));
}
