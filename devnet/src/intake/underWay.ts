import type { Transaction } from "gevulot-sdk/protocol";

/** The transactions that are being taken in: one that comes again shares the fate of the first. */
export interface UnderWay {
  count(): number;
  has(tx: Transaction): boolean;
  /** Begins the work, or joins it where it was begun. */
  once(tx: Transaction, begin: () => Promise<void>): Promise<void>;
}

export function createUnderWay(): UnderWay {
  const works = new Map<string, Promise<void>>();
  // The signature is part of the key: a forged copy must not share the fate of the true one.
  const keyOf = ({ hash, signature }: Transaction): string => `${hash}${signature}`;
  return {
    count: () => works.size,
    has: (tx) => works.has(keyOf(tx)),
    once(tx, begin) {
      const key = keyOf(tx);
      const first = works.get(key);
      if (first) return first;
      const work = begin().finally(() => works.delete(key));
      works.set(key, work);
      return work;
    },
  };
}
