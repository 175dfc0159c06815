/** @typedef {{ quiet?: boolean, colours?: boolean }} StepOptions */

/** A problem that the reader can solve: printed without a stack. */
export class SetupStop extends Error {}

/**
 * Runs one step and prints one line of it: what, how, how long. A step says by its text that there was something to
 * do; `undefined` means that all was there.
 *
 * @param {string} name
 * @param {() => Promise<{ text: string, did: boolean }>} work
 * @param {StepOptions} options quiet: only what really had to be done is said
 */
export async function step(name, work, options) {
  const began = performance.now();
  const { text, did } = await work();
  if (options.quiet && !did) return;
  console.log(`${name.padEnd(16)} ${text} (${seconds(performance.now() - began)})`);
}

/** @param {number} ms */
export const seconds = (ms) => `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 0)} s`;
