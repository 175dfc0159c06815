/** What ends a wait: the caller's signal, or time. */
export interface Deadline {
  /** Aborted by either. */
  readonly signal: AbortSignal;
  /** True once the time is up, whether or not the caller's signal was aborted too. */
  readonly isOver: () => boolean;
  readonly remainingMs: () => number;
}

/** Starts counting now. */
export function createDeadline(timeoutMs: number, signal?: AbortSignal): Deadline {
  const timeout = AbortSignal.timeout(timeoutMs);
  const end = performance.now() + timeoutMs;
  return {
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    isOver: () => timeout.aborted,
    remainingMs: () => Math.max(0, end - performance.now()),
  };
}

/** Waits, or rejects with the signal's reason. */
export function delay(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
