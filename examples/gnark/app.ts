import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { GevulotClient, ResultOptions } from "gevulot-sdk";
import { imageOf } from "../images.ts";
import type { Example } from "../toolchain.ts";

export const gnark: Example = {
  name: "gnark",
  tool: ["go", "version"],
  install: "https://go.dev/doc/install has Go 1.24 or newer",
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

/** Where the chain of a seed ends, by the same program on this machine. */
export function tipOf(buildDir: string, seed: bigint): string {
  return execFileSync(join(buildDir, "chain"), ["tip", String(seed)], { encoding: "utf8" }).trim();
}

export interface AppOptions extends ResultOptions {
  readonly images: Images;
  /** From `buildExample(gnark)`. */
  readonly buildDir: string;
  /** The downloaded proof.bin goes here. */
  readonly outputDir: string;
  /** What only the prover may know; default: a random number. */
  readonly seed?: bigint;
  /** What is claimed about it; default: the truth. */
  readonly tip?: string;
}

/** Deploys the programs, has the proof made and verified, downloads it, and checks it once more on this machine. */
export async function app(client: GevulotClient, options: AppOptions) {
  const { images, buildDir, outputDir } = options;
  const seed = options.seed ?? BigInt(`0x${randomBytes(31).toString("hex")}`);
  const tip = options.tip ?? tipOf(buildDir, seed);
  const { prover, verifier } = await client.deploy({
    name: "gnark chain",
    prover: { name: "gnark-prover", file: images.prover, resources: { memMib: 512, cpus: 1 } },
    verifier: { name: "gnark-verifier", file: images.verifier, resources: { memMib: 256, cpus: 1 } },
  });
  const run = await client.prove({
    prover,
    verifier,
    args: [tip],
    inputs: [{ data: new TextEncoder().encode(String(seed)), vmPath: "/workspace/seed" }],
    verifierArgs: [tip],
    verifierInputs: ["/workspace/proof.bin"],
  });
  const { proofs, verifications } = await run.result(options);
  const proofFile = join(outputDir, "proof.bin");
  await proofs[0]?.files[0]?.download(proofFile);
  return {
    tip,
    proofFile,
    verdict: new TextDecoder().decode(verifications[0]?.data).trim(),
    checkedHere: verifyHere(buildDir, proofFile, tip),
  };
}

/** What the verifier says on this machine; throws with its words where it refuses. */
export function verifyHere(buildDir: string, proofFile: string, tip: string): string {
  const args = ["verify", "-key", join(buildDir, "chain.vk"), "-proof", proofFile, "-tip", tip];
  return execFileSync(join(buildDir, "chain"), args, { encoding: "utf8", stdio: "pipe" }).trim();
}
