/**
 * Work that is done again and again, one round after the other, until this is disposed of; then the last has ended.
 *
 * @param round rejects never
 * @param everyMs where a round takes longer, the next begins at its end
 * @param first the first round, where it was begun already; default one that begins now
 */
export function createRounds(
  round: () => Promise<void>,
  everyMs: number,
  first: Promise<void> = round(),
): AsyncDisposable {
  let working = first;
  const timer = setInterval(() => {
    working = working.then(round);
  }, everyMs);
  return {
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await working;
    },
  };
}
