/**
 * Checks a proof. Argument: the claimed hash. Inputs: the prover's /workspace/proof.json and /workspace/public.json.
 * A proof that does not hold ends in failure: a Verification on the network means that it was valid.
 */
import { readFileSync } from "node:fs";
import { run } from "gevulot-shim";
import { loadCurve } from "./programs/curve.mjs";
import { parseNumber, SCALAR_PRIME } from "./programs/field.mjs";
import { parseProof, parsePublic } from "./programs/proofFile.mjs";
import { groth16Verify } from "./programs/snarkjs.mjs";

await run(async (task) => {
  const claimed = parseNumber(task.args[0], SCALAR_PRIME, "the first argument, the claimed hash,");
  const proofText = readFileSync(task.file("/workspace/proof.json"), "utf8");
  const publicText = readFileSync(task.file("/workspace/public.json"), "utf8");

  const proof = orRefuse(() => parseProof(proofText));
  const hash = orRefuse(() => parsePublic(publicText));
  if (hash !== claimed) refuse(`it is for the hash ${hash}, and the claimed hash is ${claimed}`);

  await loadCurve();
  const key = JSON.parse(readFileSync("verification_key.json", "utf8"));
  if (!(await groth16Verify(key, [String(claimed)], proof))) {
    refuse(`it does not show that anyone knows a preimage of ${claimed}`);
  }
  return task.result(`valid: the prover knows a preimage of ${claimed}`);
});

function refuse(reason) {
  throw new Error(`proof refused: ${reason}`);
}

function orRefuse(parse) {
  try {
    return parse();
  } catch (error) {
    return refuse(error.message);
  }
}
