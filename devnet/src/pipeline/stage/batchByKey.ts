/**
 * Does work in batches, one at a time for each key: what comes while one is done waits for the next, all together. So what
 * must be done in turn costs one transaction however many wait.
 */
export function createBatches<T>(
  work: (key: string, items: readonly T[]) => Promise<void>,
): (key: string, item: T) => Promise<void> {
  const waiting = new Map<string, { readonly items: T[]; readonly done: Promise<void> }>();
  const last = new Map<string, Promise<void>>();
  return (key, item) => {
    const open = waiting.get(key);
    if (open) {
      open.items.push(item);
      return open.done;
    }
    const items = [item];
    const before = last.get(key) ?? Promise.resolve();
    const done = before
      .catch(() => {})
      .then(() => {
        waiting.delete(key);
        return work(key, items);
      })
      .finally(() => {
        if (last.get(key) === done) last.delete(key);
      });
    last.set(key, done);
    waiting.set(key, { items, done });
    return done;
  };
}
