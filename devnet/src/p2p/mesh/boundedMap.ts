/** A map that forgets what was set first when it is full. */
export interface BoundedMap<K, V> {
  get(key: K): V | undefined;
  has(key: K): boolean;
  set(key: K, value: V): void;
  delete(key: K): void;
  readonly size: number;
  values(): IterableIterator<V>;
}

export function createBoundedMap<K, V>(maxSize: number): BoundedMap<K, V> {
  const map = new Map<K, V>();
  return {
    get: (key) => map.get(key),
    has: (key) => map.has(key),
    set(key, value) {
      map.delete(key);
      map.set(key, value);
      if (map.size > maxSize) map.delete(map.keys().next().value!);
    },
    delete: (key) => void map.delete(key),
    get size() {
      return map.size;
    },
    values: () => map.values(),
  };
}
