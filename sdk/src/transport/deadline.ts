/** What ends a wait: the caller's signal, or time. */
export interface Deadline {
  /** Aborted by either. */
  readonly signal: AbortSignal;
  /** True once the time is up, whether or not the caller's signal was aborted too. */
  readonly isOver: () => boolean;
}

/** The longest that timers can count; about 25 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Starts counting now. */
export function createDeadline(timeoutMs: number, signal?: AbortSignal): Deadline {
  const timeout = AbortSignal.timeout(Math.min(timeoutMs, MAX_TIMER_MS));
  return {
    signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    isOver: () => timeout.aborted,
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
