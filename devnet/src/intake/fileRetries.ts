import { isGevulotError } from "gevulot-sdk";
import type { Logger } from "pino";
import type { Verified } from "./stages.ts";

/** Peers' transactions whose files nobody gave. Others may have the files later, or the network come back. */
export interface FileRetries extends Disposable {
  /** Tries it again, and says so, or that it was the last time. @returns false where the error is no lack of files. */
  add(tx: Verified, peer: string, error: unknown): boolean;
  /** It is stored. */
  done(hash: string): void;
}

/** How long before each next try. */
export const RETRY_DELAYS_MS: readonly number[] = [5_000, 30_000, 120_000, 600_000, 3_600_000];
const MAX_WAITING = 1_000;

export function createFileRetries(
  deps: { readonly log: Logger; readonly retry: (tx: Verified, peer: string) => void },
  delaysMs: readonly number[] = RETRY_DELAYS_MS,
): FileRetries {
  const waiting = new Map<string, { tries: number; timer: NodeJS.Timeout }>();
  return {
    add(tx, peer, error) {
      if (!isGevulotError(error, "FILE_UNAVAILABLE")) return false;
      const about = { tx: tx.hash, kind: tx.payload.kind, peer, reason: error.message };
      const tries = waiting.get(tx.hash)?.tries ?? 0;
      const delayMs = delaysMs[tries];
      if (delayMs === undefined || (tries === 0 && waiting.size >= MAX_WAITING)) {
        waiting.delete(tx.hash);
        deps.log.warn(
          { ...about, tries: tries + 1 },
          "a peer's transaction was left out: its files can't be had",
        );
        return true;
      }
      clearTimeout(waiting.get(tx.hash)?.timer);
      const timer = setTimeout(() => deps.retry(tx, peer), delayMs).unref();
      waiting.set(tx.hash, { tries: tries + 1, timer });
      deps.log.info(
        { ...about, retryMs: delayMs },
        "a peer's transaction waits: its files are asked for again",
      );
      return true;
    },
    done(hash) {
      clearTimeout(waiting.get(hash)?.timer);
      waiting.delete(hash);
    },
    [Symbol.dispose]() {
      for (const { timer } of waiting.values()) clearTimeout(timer);
      waiting.clear();
    },
  };
}
