/** How many there are of each; those of which there are none are forgotten. */
export interface Counts<K> {
  of(key: K): number;
  change(key: K, by: 1 | -1): void;
}

export function createCounts<K>(): Counts<K> {
  const counts = new Map<K, number>();
  return {
    of: (key) => counts.get(key) ?? 0,
    change(key, by) {
      const count = (counts.get(key) ?? 0) + by;
      if (count > 0) counts.set(key, count);
      else counts.delete(key);
    },
  };
}
