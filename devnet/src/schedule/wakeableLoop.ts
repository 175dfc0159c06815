import { setTimeout as delay } from "node:timers/promises";

export interface WakeableLoop {
  wake(): void;
  /** Resolves when the loop is over: the signal was aborted, and the last round is done. */
  readonly ended: Promise<void>;
}

/**
 * Does `round` at once, whenever it is woken, and every `intervalMs`, which is looked up after each; one round at a time.
 * It must not reject.
 */
export function createWakeableLoop(
  round: () => Promise<void>,
  options: { readonly intervalMs: number | (() => number); readonly signal: AbortSignal },
): WakeableLoop {
  let wake = () => {};
  const ended = (async () => {
    while (!options.signal.aborted) {
      // Before the round, so that a call during the round makes another one.
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await round();
      const { intervalMs } = options;
      const restMs = typeof intervalMs === "number" ? intervalMs : intervalMs();
      const timer = new AbortController();
      const signal = AbortSignal.any([timer.signal, options.signal]);
      await Promise.race([woken, delay(restMs, undefined, { signal }).catch(() => {})]);
      timer.abort();
    }
  })();
  return { wake: () => wake(), ended };
}
