import { isGevulotError } from "gevulot-sdk";
import type { NodeLink } from "../explorer/nodeLink.ts";

/** A piece of a console as it came. */
export interface ConsolePiece {
  /** From 1. */
  readonly attempt: number;
  readonly text: string;
  /** Bytes before it that the node did not send. */
  readonly skippedBytes: number;
}

export interface ConsoleOptions {
  /** Goes on until the task has ended; else until what is there has come. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

/**
 * The console of a task from the node that ran it.
 * @returns whether the node knows the task
 */
export async function readTaskConsole(
  link: NodeLink,
  task: string,
  options: ConsoleOptions,
  onPiece: (piece: ConsolePiece) => void,
): Promise<boolean> {
  const { follow, signal } = options;
  let attempt = 0;
  try {
    for await (const { name, data } of link.events(`/events/tasks/${task}/console`, signal)) {
      if (name === "end" || (name === "current" && !follow)) break;
      if (name === "attempt") attempt = (data as { attempt: number }).attempt;
      if (name === "text") {
        const { text, skipped } = data as { text: string; skipped: number };
        onPiece({ attempt, text, skippedBytes: skipped });
      }
    }
    return true;
  } catch (error) {
    if (isGevulotError(error, "EXPLORER_NOT_FOUND")) return false;
    if (signal.aborted) return true;
    throw error;
  }
}

/** Gives whole lines of a text that comes in pieces. */
export function createLineCutter(onLine: (line: string) => void): { add(text: string): void; end(): void } {
  let rest = "";
  return {
    add(text) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      // A program that never ends its line is shown all the same.
      if (rest.length > MAX_LINE_CHARS) {
        lines.push(rest);
        rest = "";
      }
      for (const line of lines) onLine(line.replace(/\r$/, ""));
    },
    end() {
      if (rest !== "") onLine(rest);
      rest = "";
    },
  };
}

const MAX_LINE_CHARS = 16_384;
