export interface Turns {
  /** Does the work once there is room, for all and for its key. Throws the signal's reason if that comes first. */
  take<T>(key: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T>;
}

interface Waiting {
  readonly key: string;
  readonly start: () => void;
}

/** Limits how much is done at once. What waits for its own key does not hold up what comes after it. */
export function createTurns(options: { readonly maxAtOnce: number; readonly maxAtOnceOfKey: number }): Turns {
  const running = new Map<string, number>();
  const waiting: Waiting[] = [];
  let total = 0;

  const hasRoom = (key: string) =>
    total < options.maxAtOnce && (running.get(key) ?? 0) < options.maxAtOnceOfKey;
  const begin = (key: string): void => {
    total++;
    running.set(key, (running.get(key) ?? 0) + 1);
  };
  const end = (key: string): void => {
    total--;
    const left = (running.get(key) ?? 1) - 1;
    if (left === 0) running.delete(key);
    else running.set(key, left);
    const at = waiting.findIndex((each) => hasRoom(each.key));
    // Room is taken for it here, before anyone else can come.
    const [next] = at < 0 ? [] : waiting.splice(at, 1);
    if (next === undefined) return;
    begin(next.key);
    next.start();
  };
  const wait = (key: string, signal: AbortSignal | undefined): Promise<void> =>
    new Promise((resolve, reject) => {
      const leave = () => {
        waiting.splice(waiting.indexOf(entry), 1);
        reject(signal?.reason);
      };
      const entry: Waiting = {
        key,
        start: () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        },
      };
      waiting.push(entry);
      signal?.addEventListener("abort", leave, { once: true });
    });

  return {
    async take(key, signal, work) {
      signal?.throwIfAborted();
      if (hasRoom(key)) begin(key);
      else await wait(key, signal);
      try {
        return await work();
      } finally {
        end(key);
      }
    },
  };
}
