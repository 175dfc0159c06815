/** Tells those who wait for a Run that something about it was stored; what, they read themselves. */
export interface RunHub {
  notify(run: string): void;
  /** Programs were deployed. */
  notifyDeploy(): void;
  /** @returns the end of the subscription. */
  subscribe(run: string, listener: () => void): () => void;
  /** To all Runs. @returns the end of the subscription. */
  subscribeAll(listener: HubListener): () => void;
}

export interface HubListener {
  run(run: string): void;
  deploy(): void;
}

export function createRunHub(): RunHub {
  const listeners = new Map<string, Set<() => void>>();
  const ofAll = new Set<HubListener>();
  return {
    notify(run) {
      for (const listener of listeners.get(run) ?? []) listener();
      for (const listener of ofAll) listener.run(run);
    },
    notifyDeploy() {
      for (const listener of ofAll) listener.deploy();
    },
    subscribe(run, listener) {
      const ofRun = listeners.get(run) ?? new Set();
      listeners.set(run, ofRun.add(listener));
      return () => {
        ofRun.delete(listener);
        if (ofRun.size === 0 && listeners.get(run) === ofRun) listeners.delete(run);
      };
    },
    subscribeAll(listener) {
      ofAll.add(listener);
      return () => void ofAll.delete(listener);
    },
  };
}
