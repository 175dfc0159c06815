import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Step } from "../pipelineToml.ts";
import type { Example } from "../toolchain.ts";

export const pipelinePlonky2: Example = {
  name: "pipeline-plonky2",
  tool: ["rustc", "--version"],
  install: "https://rustup.rs has Rust",
};

/** What a prover node runs at each step. */
export function commandsOf(buildDir: string): Readonly<Record<Step, readonly string[]>> {
  const program = join(buildDir, "chain-prover");
  const keys = join(buildDir, "chain.keys");
  return {
    split: [program, "split", "{in}", "{out}"],
    prove: [program, "prove", keys, "{in}", "{out}"],
    agg: [program, "agg", keys, "{in}", "{out}"],
    snark: [program, "wrap", keys, "{in}", "{out}"],
  };
}

/** What a stage runs to check the output of a step. */
export function verifyCommand(buildDir: string): readonly string[] {
  return [join(buildDir, "chain-verifier"), "step", join(buildDir, "chain.keys"), "{in}"];
}

export interface Chain {
  readonly start: number;
  readonly length: number;
}

/** What the verifier says of a finished proof; throws with its words where it refuses. */
export function verifyProof(buildDir: string, file: string, { start, length }: Chain): string {
  const args = ["proof", join(buildDir, "chain.keys"), file, String(start), String(length)];
  return execFileSync(join(buildDir, "chain-verifier"), args, { encoding: "utf8", stdio: "pipe" }).trim();
}
