/** Tells those who wait for a Run that something about it was stored; what, they read themselves. */
export interface RunHub {
  notify(run: string): void;
  /** @returns the end of the subscription. */
  subscribe(run: string, listener: () => void): () => void;
}

export function createRunHub(): RunHub {
  const listeners = new Map<string, Set<() => void>>();
  return {
    notify(run) {
      for (const listener of listeners.get(run) ?? []) listener();
    },
    subscribe(run, listener) {
      const ofRun = listeners.get(run) ?? new Set();
      listeners.set(run, ofRun.add(listener));
      return () => {
        ofRun.delete(listener);
        if (ofRun.size === 0 && listeners.get(run) === ofRun) listeners.delete(run);
      };
    },
  };
}
