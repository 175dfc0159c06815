import type { FuzzTarget } from "./targets.ts";

const MAX_BYTES = 4_096;
/** What decoding may leave behind or hold on to, over the whole run. */
const MAX_GROWTH_BYTES = 256 * 2 ** 20;
/** One input must not keep the node from its work. */
const MAX_INPUT_MS = 2_000;

/** Numbers from 0 to 1 that a seed repeats (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Feeds a decoder with so many inputs. Throws with the input, as hex, that it could not bear. */
export function fuzz(target: FuzzTarget, options: { readonly seed: number; readonly count: number }): void {
  const random = createRandom(options.seed);
  const memoryBefore = process.memoryUsage().rss;
  for (let index = 0; index < options.count; index++) {
    const input = makeInput(target.seeds, random);
    const startedMs = performance.now();
    try {
      target.decode(input);
    } catch (cause) {
      const hex = Buffer.from(input).toString("hex");
      throw new Error(`${target.name}, seed ${options.seed}, input ${index}: ${hex}`, { cause });
    }
    const ms = performance.now() - startedMs;
    if (ms > MAX_INPUT_MS) throw new Error(`${target.name}, seed ${options.seed}, input ${index}: ${ms} ms`);
  }
  const growth = process.memoryUsage().rss - memoryBefore;
  if (growth > MAX_GROWTH_BYTES) {
    throw new Error(`${target.name}, seed ${options.seed}: the memory grew by ${growth} bytes`);
  }
}

/** A valid input with some changes, or noise. */
function makeInput(seeds: readonly Uint8Array[], random: () => number): Uint8Array {
  const below = (limit: number) => Math.floor(random() * limit);
  if (random() < 0.1) return Uint8Array.from({ length: below(200) }, () => below(256));
  let bytes = Uint8Array.from(seeds[below(seeds.length)]!);
  for (let changes = 1 + below(4); changes > 0; changes--) {
    const at = below(bytes.length + 1);
    const kind = below(5);
    if (kind === 0 && at < bytes.length) bytes[at] = below(256);
    else if (kind === 1 && at < bytes.length) bytes[at]! ^= 1 << below(8);
    else if (kind === 2) bytes = bytes.slice(0, at);
    // Lengths and counts are what decoders reserve memory by.
    else if (kind === 3) bytes.fill(random() < 0.5 ? 255 : 0, at, at + 1 + below(8));
    else if (bytes.length < MAX_BYTES) {
      bytes = Uint8Array.from([...bytes.subarray(0, at), ...bytes.subarray(below(at + 1))]);
    }
  }
  return bytes;
}
