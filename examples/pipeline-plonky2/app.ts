import { execFileSync } from "node:child_process";
import { join } from "node:path";
import type { Example } from "../toolchain.ts";

export const pipelinePlonky2: Example = {
  name: "pipeline-plonky2",
  tool: ["rustc", "--version"],
  install: "https://rustup.rs has Rust",
};

export type Step = "split" | "prove" | "agg" | "snark";
export type Commands = Readonly<Partial<Record<Step, readonly string[]>>>;

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

export interface StageOptions {
  readonly buildDir: string;
  readonly baseDir: string;
  readonly databaseUrl: string;
  /** `host:port`. */
  readonly addr: string;
}

/** A stage's configuration, as TOML. It checks what nodes give it by a program of its own. */
export function stageToml({ buildDir, baseDir, databaseUrl, addr }: StageOptions): string {
  const verify = [join(buildDir, "chain-verifier"), "step", join(buildDir, "chain.keys"), "{in}"];
  return toml({ addr, database_url: databaseUrl, base_dir: baseDir }, { verify });
}

export interface NodeOptions {
  readonly name: string;
  /** Its own: nothing is shared. */
  readonly baseDir: string;
  readonly addr: string;
  readonly stageAddr: string;
  /** The steps that it does. */
  readonly commands: Commands;
}

/** A prover node's configuration, as TOML. */
export function nodeToml({ name, baseDir, addr, stageAddr, commands }: NodeOptions): string {
  return toml({ addr, name, base_dir: baseDir, stage_addrs: [stageAddr] }, commands);
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

/** Strings and lists of strings are written alike in JSON and TOML. */
function toml(keys: Readonly<Record<string, unknown>>, steps: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(keys).map(([key, value]) => `${key} = ${JSON.stringify(value)}`);
  const commands = Object.entries(steps).map(
    ([step, command]) => `${step} = { command = ${JSON.stringify(command)} }`,
  );
  return `${[...lines, "", "[steps]", ...commands].join("\n")}\n`;
}
