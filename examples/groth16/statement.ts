import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { curves, groth16 } from "snarkjs";
import { calculateWitness } from "./programs/witness.mjs";

/** Below the field's prime, which has 254 bits. */
const PREIMAGE_BYTES = 31;

export function randomPreimage(): bigint {
  return BigInt(`0x${randomBytes(PREIMAGE_BYTES).toString("hex")}`);
}

/** The preimage's Poseidon hash, in decimal: what the circuit puts out. */
export function hashOf(circuitDir: string, preimage: bigint): string {
  return String(calculateWitness(readFileSync(join(circuitDir, "preimage.wasm")), preimage).hash);
}

/** Whether a proof shows that its maker knew a preimage of the hash. Checked by snarkjs, here. */
export async function holds(circuitDir: string, hash: string, proofFile: string): Promise<boolean> {
  const read = (path: string): unknown => JSON.parse(readFileSync(path, "utf8"));
  const curve = await curves.getCurveFromName("bn128");
  try {
    return await groth16.verify(read(join(circuitDir, "verification_key.json")), [hash], read(proofFile));
  } finally {
    // It has workers, and the process would not end while they run.
    await curve.terminate();
  }
}
