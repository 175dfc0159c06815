import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { GevulotClient, ResultOptions } from "gevulot-sdk";
import { imageOf } from "../images.ts";
import type { Example } from "../toolchain.ts";

export const plonky2: Example = {
  name: "plonky2",
  tool: ["rustc", "--version"],
  install: "https://rustup.rs has Rust",
};

export interface Images {
  readonly prover: string;
  readonly verifier: string;
}

/** One program, two images: the manifests say what each does. */
export async function buildImages(buildDir: string, outputDir: string): Promise<Images> {
  const options = { folder: new URL("./", import.meta.url), buildDir, outputDir };
  return { prover: await imageOf("prover", options), verifier: await imageOf("verifier", options) };
}

/** Where the chain of a seed ends: walked here, without a proof. */
export function tipOf(buildDir: string, seed: string): string {
  return execFileSync(join(buildDir, "chain"), ["tip", seed], { encoding: "utf8" }).trim();
}

export interface AppOptions extends ResultOptions {
  readonly images: Images;
  /** From `buildExample(plonky2)`. */
  readonly buildDir: string;
  /** The downloaded proof.bin goes here. */
  readonly outputDir: string;
  /** Where the chain begins; default: a random number. */
  readonly seed?: string;
}

/** Deploys the programs, has the proof made and verified, downloads it, and checks it once more on this machine. */
export async function app(client: GevulotClient, options: AppOptions) {
  const { images, buildDir, outputDir } = options;
  const seed = options.seed ?? String(randomBytes(4).readUInt32LE());
  const { prover, verifier } = await client.deploy({
    name: "plonky2 chain",
    prover: { name: "plonky2-prover", file: images.prover, resources: { memMib: 512, cpus: 1 } },
    verifier: { name: "plonky2-verifier", file: images.verifier, resources: { memMib: 256, cpus: 1 } },
  });
  const run = await client.prove({
    prover,
    verifier,
    args: [seed],
    verifierArgs: [seed],
    verifierInputs: ["/workspace/proof.bin"],
  });
  const { proofs, verifications } = await run.result(options);
  const proofFile = join(outputDir, "proof.bin");
  await proofs[0]?.files[0]?.download(proofFile);
  return {
    seed,
    proofFile,
    verdict: new TextDecoder().decode(verifications[0]?.data).trim(),
    checkedHere: verifyHere(buildDir, proofFile, seed),
  };
}

/** What the verifier says on this machine; throws with its words where it refuses. */
export function verifyHere(buildDir: string, proofFile: string, seed: string): string {
  const args = ["verify", join(buildDir, "chain.circuit"), proofFile, seed];
  return execFileSync(join(buildDir, "chain"), args, { encoding: "utf8", stdio: "pipe" }).trim();
}
