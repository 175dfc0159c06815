/**
 * Proves to know a number whose Poseidon hash is the claimed one.
 * Argument: the hash. Input: /workspace/witness.json, `{"preimage": "…"}`.
 * Output: /workspace/proof.json and /workspace/public.json; the result is the proof.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { run } from "gevulot-shim";
import { loadCurve } from "./programs/curve.mjs";
import { parseNumber, SCALAR_PRIME } from "./programs/field.mjs";
import { groth16Prove } from "./programs/snarkjs.mjs";
import { calculateWitness } from "./programs/witness.mjs";

await run(async (task) => {
  const claimed = parseNumber(task.args[0], SCALAR_PRIME, "the first argument, the claimed hash,");
  const preimage = readPreimage(task.file("/workspace/witness.json"));

  const { hash, wtns } = calculateWitness(readFileSync("preimage.wasm"), preimage);
  if (hash !== claimed) {
    throw new Error(`wrong witness: the preimage hashes to ${hash}, and the claimed hash is ${claimed}`);
  }

  await loadCurve();
  const { proof, publicSignals } = await groth16Prove(readFileSync("preimage.zkey"), {
    type: "mem",
    data: wtns,
  });

  const proofText = JSON.stringify(proof);
  writeFileSync(task.path("proof.json"), proofText);
  writeFileSync(task.path("public.json"), JSON.stringify(publicSignals));
  return task.result(proofText, ["/workspace/proof.json", "/workspace/public.json"]);
});

function readPreimage(path) {
  let witness;
  try {
    witness = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new Error(`witness.json can't be read: ${cause.message}`, { cause });
  }
  return parseNumber(witness?.preimage, SCALAR_PRIME, "the preimage in witness.json");
}
