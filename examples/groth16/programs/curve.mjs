/**
 * The curve BN254 for snarkjs, quick to start: in this thread alone (a virtual machine has one processor, and workers take
 * longer to start than the proof to make), from code that the set-up generated.
 */
import { readFileSync } from "node:fs";
// Not exported by the package, like snarkjs's parts in snarkjs.mjs.
import buildEngine from "../../../node_modules/ffjavascript/src/engine.js";

const COFACTOR_G2 = 0x30644e72e131a029b85045b68181585e06ceecda572a2489345f2299c0f9fa8dn;
const FIELD_BYTES = 32;

export async function loadCurve() {
  const { q, r, ...places } = JSON.parse(readFileSync("bn128.json", "utf8"));
  const primes = { q: BigInt(q), r: BigInt(r) };
  const sizes = { n8q: FIELD_BYTES, n8r: FIELD_BYTES };
  const wasm = { ...places, ...primes, ...sizes, code: readFileSync("bn128.wasm") };
  const curve = await buildEngine({
    name: "bn128",
    wasm,
    ...primes,
    ...sizes,
    cofactorG2: COFACTOR_G2,
    singleThread: true,
  });
  // Where ffjavascript looks for a curve before it builds one.
  globalThis.curve_bn128 = curve;
  return curve;
}
