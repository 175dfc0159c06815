/** A node's slots, given in the order in which they are asked for. */
export interface Turns {
  /** Waits for a slot; gives what gives it back. Throws the signal's reason, or where no more turns are given. */
  take(signal: AbortSignal): Promise<() => void>;
  /** Somebody waits. */
  isWanted(): boolean;
  /** Who waits, or comes later, gets none. */
  close(): void;
}

interface Waiter {
  readonly begin: () => void;
  readonly reject: (reason: Error) => void;
}

export function createTurns(slots: number): Turns {
  const waiting = new Set<Waiter>();
  let free = slots;
  let isClosed = false;
  const closed = () => new Error("the node drains: it begins nothing new");
  const slot = (): (() => void) => {
    let isGiven = false;
    return () => {
      if (isGiven) return;
      isGiven = true;
      free += 1;
      const [next] = waiting;
      next?.begin();
    };
  };
  return {
    async take(signal) {
      signal.throwIfAborted();
      if (isClosed) throw closed();
      if (free > 0) {
        free -= 1;
        return slot();
      }
      return new Promise((resolve, reject) => {
        const leave = (): void => {
          waiting.delete(waiter);
          signal.removeEventListener("abort", abort);
        };
        const waiter: Waiter = {
          begin() {
            leave();
            free -= 1;
            resolve(slot());
          },
          reject(reason) {
            leave();
            reject(reason);
          },
        };
        const abort = (): void => waiter.reject(signal.reason);
        signal.addEventListener("abort", abort, { once: true });
        waiting.add(waiter);
      });
    },
    isWanted: () => waiting.size > 0,
    close() {
      isClosed = true;
      for (const waiter of [...waiting]) waiter.reject(closed());
    },
  };
}
