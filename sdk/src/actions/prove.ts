import type { ActionOptions, ClientContext } from "../context/context.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { InputSource } from "./inputSource.ts";
import { run, type SentRun } from "./run.ts";

/** A program's hash, or what `deploy` gave for it. */
export type ProgramReference = Hash | { readonly hash: Hash };

export interface ProveOptions extends ActionOptions {
  readonly prover: ProgramReference;
  readonly verifier: ProgramReference;
  readonly args?: readonly string[];
  readonly inputs?: readonly InputSource[];
  readonly verifierArgs?: readonly string[];
  /** A string is a file that the prover leaves: its path inside the VM, the same for both. */
  readonly verifierInputs?: readonly (string | InputSource)[];
  /** Default: a random one. */
  readonly nonce?: bigint | undefined;
}

/**
 * The short form of a Run of two steps: a prover, then its verifier. Throws as `run` does.
 *
 * ```ts
 * const run = await client.prove({
 *   prover,
 *   verifier,
 *   inputs: [{ file: "witness.json", vmPath: "/workspace/witness.json" }],
 *   verifierInputs: ["/workspace/proof.json"],
 * });
 * ```
 */
export async function prove(context: ClientContext, options: ProveOptions): Promise<SentRun> {
  const { args = [], inputs = [], verifierArgs = [], verifierInputs = [], nonce, signal } = options;
  const prover = hashOf(options.prover);
  const steps = [
    { program: prover, args, inputs },
    {
      program: hashOf(options.verifier),
      args: verifierArgs,
      inputs: verifierInputs.map((input) =>
        typeof input === "string" ? { output: input, from: prover } : input,
      ),
    },
  ];
  return run(context, { steps, nonce, signal });
}

function hashOf(program: ProgramReference): Hash {
  return typeof program === "string" ? program : program.hash;
}
