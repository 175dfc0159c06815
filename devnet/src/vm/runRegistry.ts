/** The runs of a provider, so that it can end them all. */
export interface RunRegistry extends AsyncDisposable {
  /** Runs `work` with a signal that the caller's signal aborts, and that the end of the provider aborts. */
  track<T>(signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

export function createRunRegistry(): RunRegistry {
  const stop = new AbortController();
  const running = new Set<Promise<unknown>>();
  return {
    async track(signal, work) {
      const run = work(signal === undefined ? stop.signal : AbortSignal.any([signal, stop.signal]));
      running.add(run);
      try {
        return await run;
      } finally {
        running.delete(run);
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.allSettled(running);
    },
  };
}
