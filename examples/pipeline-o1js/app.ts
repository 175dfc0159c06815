import { join } from "node:path";
import type { Step } from "../pipelineToml.ts";
import type { Example } from "../toolchain.ts";

export const pipelineO1js: Example = {
  name: "pipeline-o1js",
  tool: ["node", "--version"],
  install: "https://nodejs.org has Node.js",
};

const run = (buildDir: string, program: string): string[] => [
  process.execPath,
  "--import",
  join(buildDir, "node_modules/tsx/dist/esm/index.mjs"),
  join(buildDir, program),
];

/** What a prover node runs at each step. */
export function commandsOf(buildDir: string): Readonly<Record<Step, readonly string[]>> {
  const prover = run(buildDir, "prover.ts");
  return {
    split: [...prover, "split", "{in}", "{out}"],
    prove: [...prover, "prove", "{in}", "{out}"],
    agg: [...prover, "agg", "{in}", "{out}"],
    snark: [...prover, "wrap", "{in}", "{out}"],
  };
}

/** What a stage runs to check the output of a step. */
export function verifyCommand(buildDir: string): readonly string[] {
  return [...run(buildDir, "verifier.ts"), "step", join(buildDir, "keys.json"), "{in}"];
}

/** Checks a finished proof, with `FILE START LENGTH` added. */
export function proofCommand(buildDir: string): readonly string[] {
  return [...run(buildDir, "verifier.ts"), "proof", join(buildDir, "keys.json")];
}
