import { isGevulotError } from "gevulot-sdk";
import { errorText } from "./reportError.ts";

/** What `--json` prints: one line, the keys always there. */
export interface Envelope {
  readonly schemaVersion: 1;
  readonly command: string;
  readonly status: "ok" | "error";
  readonly data: unknown;
  readonly warnings: readonly string[];
  readonly error: { readonly code: string; readonly message: string } | null;
}

export function okEnvelope(command: string, data: unknown, warnings: readonly string[] = []): Envelope {
  return { schemaVersion: 1, command, status: "ok", data, warnings, error: null };
}

export function errorEnvelope(command: string, error: unknown): Envelope {
  const code = isGevulotError(error) ? error.code : "UNEXPECTED";
  const message = errorText(error).replace(/^error: /, "");
  return { schemaVersion: 1, command, status: "error", data: null, warnings: [], error: { code, message } };
}

export function printEnvelope(envelope: Envelope): void {
  process.stdout.write(`${JSON.stringify(envelope)}\n`);
}
