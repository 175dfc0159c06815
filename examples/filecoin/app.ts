import { join } from "node:path";
import type { GevulotClient, ResultOptions } from "gevulot-sdk";
import { imageOf } from "../images.ts";
import type { Example } from "../toolchain.ts";

export const filecoin: Example = {
  name: "filecoin",
  tool: ["rustc", "--version"],
  install: "https://rustup.rs has Rust",
};

/** The program and its settings; the parameters are in the volume `tmp`. */
export function buildProverImage(buildDir: string, outputDir: string): Promise<string> {
  const exec = {};
  return imageOf("benchy", { folder: new URL("./", import.meta.url), buildDir, outputDir, exec });
}

/** What `volume create tmp --writable -d` copies into the volume. */
export function volumeContent(buildDir: string): string {
  return join(buildDir, "volume");
}

export interface AppOptions extends ResultOptions {
  /** From {@link buildProverImage}. */
  readonly image: string;
}

/** Deploys the program and has it run, as the only step: it checks its proof itself. */
export async function app(client: GevulotClient, { image, ...options }: AppOptions) {
  const source = { file: image, resources: { memMib: 1024, cpus: 1 } };
  const { prover } = await client.deploy({
    name: "winning-post",
    prover: { ...source, name: "benchy" },
    verifier: { ...source, name: "benchy, not used" },
  });
  const run = await client.run({ steps: [{ program: prover.hash, args: [], inputs: [] }] });
  const { proofs } = await run.result(options);
  return { run: run.hash, report: new TextDecoder().decode(proofs[0]?.data) };
}
