// `npm run fuzz -- [inputs] [seed]`: every decoder of what peers send, 1,000,000 inputs each.
import { fuzz } from "./fuzz.ts";
import { FUZZ_TARGETS } from "./targets.ts";

const count = Number(process.argv[2] ?? 1_000_000);
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 32));
console.log(`seed ${seed}`);
for (const target of FUZZ_TARGETS) {
  const startedMs = performance.now();
  fuzz(target, { seed, count });
  console.log(`${target.name}: ${count} inputs in ${Math.round(performance.now() - startedMs)} ms`);
}
