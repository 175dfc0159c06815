import { constants } from "node:os";

/** What the guest's init says on the second serial port. */
export type GuestMessage =
  | { readonly kind: "booted" }
  | { readonly kind: "program" }
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "outOfMemory" }
  | { readonly kind: "failed"; readonly reason: string };

/** Longer lines are not init's. */
export const MAX_GUEST_LINE_BYTES = 4_096;

const LINE = /^GV (booted|program|exited|signalled|oom|failed)(?: (.*))?$/;
const MAX_REASON_CHARS = 1_000;

/**
 * Reads one line of the control channel, such as `GV exited 3 2.41`; the last word is the guest's uptime. Null for
 * anything else: the program is root in its guest and may write there whatever it likes.
 */
export function parseGuestMessage(line: string): GuestMessage | null {
  const [, word, rest = ""] = LINE.exec(line) ?? [];
  switch (word) {
    case "booted":
    case "program":
      return { kind: word };
    case "oom":
      return { kind: "outOfMemory" };
    case "failed":
      return { kind: "failed", reason: printable(rest) || "it did not say why" };
    case "exited": {
      const exitCode = /^(\d{1,3})(?: |$)/.exec(rest)?.[1];
      return exitCode !== undefined && Number(exitCode) <= 255
        ? { kind: "exited", exitCode: Number(exitCode) }
        : null;
    }
    case "signalled": {
      const signal = signalName(rest.split(" ", 1)[0] as string);
      return signal === null ? null : { kind: "signalled", signal };
    }
    default:
      return null;
  }
}

/** `9`, `KILL` and `SIGKILL` are all `SIGKILL`; null for what is no signal. */
function signalName(text: string): string | null {
  if (/^\d{1,2}$/.test(text)) {
    const known = Object.entries(constants.signals).find(([, number]) => number === Number(text));
    return known?.[0] ?? `signal ${Number(text)}`;
  }
  if (!/^[A-Z][A-Z0-9+-]{1,15}$/.test(text)) return null;
  return text.startsWith("SIG") ? text : `SIG${text}`;
}

/** Reasons end in logs, in JSON and on terminals. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, "?").slice(0, MAX_REASON_CHARS);
}
