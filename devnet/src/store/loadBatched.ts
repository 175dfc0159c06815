/**
 * Joins look-ups that come while one is under way: the next query asks for all of them. `load` gets each key once, and
 * gives what it found.
 */
export function createBatchedLoader<V>(
  load: (keys: readonly string[]) => Promise<ReadonlyMap<string, V>>,
  options: { readonly maxKeys: number },
): (key: string) => Promise<V | null> {
  let waiting = new Map<string, Waiter<V>>();
  let loading = false;

  const next = async (): Promise<void> => {
    loading = true;
    while (waiting.size > 0) {
      const taken = [...waiting].slice(0, options.maxKeys);
      if (taken.length === waiting.size) waiting = new Map();
      else for (const [key] of taken) waiting.delete(key);
      try {
        const found = await load(taken.map(([key]) => key));
        for (const [key, { resolve }] of taken) resolve(found.get(key) ?? null);
      } catch (error) {
        for (const [, { reject }] of taken) reject(error);
      }
    }
    loading = false;
  };

  return (key) => {
    const same = waiting.get(key);
    if (same) return same.promise;
    let resolve: Waiter<V>["resolve"] = () => {};
    let reject: Waiter<V>["reject"] = () => {};
    const promise = new Promise<V | null>((resolvePromise, rejectPromise) => {
      resolve = resolvePromise;
      reject = rejectPromise;
    });
    waiting.set(key, { promise, resolve, reject });
    // After this turn of the event loop: calls that arrived together share a query.
    if (!loading) {
      loading = true;
      setImmediate(() => void next());
    }
    return promise;
  };
}

interface Waiter<V> {
  readonly promise: Promise<V | null>;
  readonly resolve: (value: V | null) => void;
  readonly reject: (error: unknown) => void;
}
