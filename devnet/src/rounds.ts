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
  let isWorking = false;
  let working = Promise.resolve();
  const work = (begun: Promise<void>): void => {
    isWorking = true;
    working = begun.finally(() => {
      isWorking = false;
    });
  };
  work(first);
  const timer = setInterval(() => {
    if (!isWorking) work(round());
  }, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await working;
    },
  };
}
