import { join } from "node:path";
import type { GevulotClient, ResultOptions, RunHandle } from "gevulot-sdk";
import { hashOf, holds, randomPreimage } from "./statement.ts";

export interface AppOptions extends ResultOptions {
  /** The two programs' images; see images.ts. */
  readonly images: { readonly prover: string; readonly verifier: string };
  /** From {@link setupCircuit}. */
  readonly circuitDir: string;
  /** What only the prover may know; default: a fresh random number. */
  readonly preimage?: bigint;
  /** What is claimed about it; default: the truth. */
  readonly hash?: string;
  /** The downloaded proof.json and public.json go here. */
  readonly outputDir: string;
  readonly onSent?: (run: RunHandle) => void;
}

/** Deploys the programs, has the proof made and verified, downloads it, and checks it once more. */
export async function app(client: GevulotClient, options: AppOptions) {
  const preimage = options.preimage ?? randomPreimage();
  const hash = options.hash ?? hashOf(options.circuitDir, preimage);

  // Both programs use one thread and about 100 MB.
  const resources = { memMib: 512, cpus: 1 };
  const { prover, verifier } = await client.deploy({
    name: "poseidon-preimage",
    prover: { name: "preimage-prover", file: options.images.prover, resources },
    verifier: { name: "preimage-verifier", file: options.images.verifier, resources },
  });

  const witness = new TextEncoder().encode(JSON.stringify({ preimage: String(preimage) }));
  const run = await client.prove({
    prover,
    verifier,
    args: [hash],
    inputs: [{ data: witness, vmPath: "/workspace/witness.json" }],
    verifierArgs: [hash],
    verifierInputs: ["/workspace/proof.json", "/workspace/public.json"],
  });
  options.onSent?.(run);

  const { proofs, verifications } = await run.result(options);
  for (const file of proofs[0]?.files ?? []) {
    await file.download(join(options.outputDir, file.vmPath.replace("/workspace/", "")));
  }
  const verdict = new TextDecoder().decode(verifications[0]?.data);
  const holdsHere = await holds(options.circuitDir, hash, join(options.outputDir, "proof.json"));
  return { run: run.hash, hash, proof: proofs[0]?.hash, verdict, holdsHere };
}
