import { checkArray, checkObject, optionInvalid } from "../context/checkOptions.ts";
import type { ClientContext, FileActionOptions } from "../context/context.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { InputSource } from "./inputSource.ts";
import { run, type SentRun } from "./run.ts";

/** A program's hash, or what `deploy` gave for it. */
export type ProgramReference = Hash | { readonly hash: Hash };

export interface ProveOptions extends FileActionOptions {
  readonly prover: ProgramReference;
  readonly verifier: ProgramReference;
  readonly args?: readonly string[];
  readonly inputs?: readonly InputSource[];
  readonly verifierArgs?: readonly string[];
  /** A string is a file that the prover leaves: its path inside the VM, the same for both. */
  readonly verifierInputs?: readonly (string | InputSource)[];
  /** Default: a random one. */
  readonly nonce?: bigint | undefined;
  /** As for `run`. */
  readonly deadlineMs?: number | undefined;
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
  checkObject("prove", options);
  const { args = [], inputs = [], verifierArgs = [], verifierInputs = [], ...common } = options;
  checkArray("verifierInputs", verifierInputs);
  const prover = hashOf("prover", options.prover);
  const steps = [
    { program: prover, args, inputs },
    {
      program: hashOf("verifier", options.verifier),
      args: verifierArgs,
      inputs: verifierInputs.map((input) =>
        typeof input === "string" ? { output: input, from: prover } : input,
      ),
    },
  ];
  return run(context, { ...common, steps });
}

function hashOf(option: string, program: ProgramReference): Hash {
  const hash: unknown = typeof program === "string" ? program : program?.hash;
  if (typeof hash === "string") return hash;
  throw optionInvalid(option, "give the program's hash, or what deploy gave for it.");
}
