/**
 * Work that is done again and again, one round after the other, until this is disposed of; then the last has ended.
 *
 * @param round rejects never
 * @param everyMs where a round takes longer, the next begins with the first tick after its end
 * @param first the first round, where it was begun already; default one that begins now
 */
export function createRounds(
  round: () => Promise<void>,
  everyMs: number,
  first: Promise<void> = round(),
): AsyncDisposable {
  const single = createSingle();
  single.begin(() => first);
  const timer = setInterval(() => single.begin(round), everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await single.ended();
    },
  };
}

/** Work that is not begun while it still goes on. It rejects never. */
export function createSingle(): {
  begin(work: () => Promise<void>): void;
  /** Resolves at the end of what goes on. */
  ended(): Promise<void>;
} {
  let isWorking = false;
  let working = Promise.resolve();
  return {
    begin(work) {
      if (isWorking) return;
      isWorking = true;
      working = work().finally(() => {
        isWorking = false;
      });
    },
    ended: () => working,
  };
}
