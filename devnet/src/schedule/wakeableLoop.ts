import { setTimeout as delay } from "node:timers/promises";

export interface WakeableLoop {
  wake(): void;
  /** Resolves when the loop is over: the signal was aborted, and the last round is done. */
  readonly ended: Promise<void>;
}

/** Does `round` at once, whenever it is woken, and every `intervalMs`; one round at a time. It must not reject. */
export function createWakeableLoop(
  round: () => Promise<void>,
  options: { readonly intervalMs: number; readonly signal: AbortSignal },
): WakeableLoop {
  let wake = () => {};
  const ended = (async () => {
    while (!options.signal.aborted) {
      // Before the round, so that a call during the round makes another one.
      const woken = new Promise<void>((resolve) => {
        wake = resolve;
      });
      await round();
      const timer = new AbortController();
      const signal = AbortSignal.any([timer.signal, options.signal]);
      await Promise.race([woken, delay(options.intervalMs, undefined, { signal }).catch(() => {})]);
      timer.abort();
    }
  })();
  return { wake: () => wake(), ended };
}
