import {
  checkArray,
  checkCount,
  checkFunction,
  checkNonce,
  checkObject,
  checkSignal,
  optionInvalid,
} from "../context/checkOptions.ts";
import type { ClientContext, FileActionOptions } from "../context/context.ts";
import { withHostedFiles } from "../context/hostedFiles.ts";
import { signWith } from "../context/signer.ts";
import { parseHash } from "../protocol/hash.ts";
import { randomNonce } from "../protocol/signTransaction.ts";
import type { Hash, WorkflowStep } from "../protocol/transaction.ts";
import { type InputSource, resolveInput } from "./inputSource.ts";
import { sendTransaction } from "./sendTransaction.ts";

export interface StepOptions {
  /** Hash of a deployed program. */
  readonly program: Hash;
  readonly args?: readonly string[];
  readonly inputs?: readonly InputSource[];
}

export interface RunOptions extends FileActionOptions {
  /** In practice a prover, then its verifier; no program twice. */
  readonly steps: readonly StepOptions[];
  /** Default: a random one, so that the same steps can be sent again. */
  readonly nonce?: bigint | undefined;
  /**
   * From when the node has stored the Run to its end: then its tasks fail with the code `DEADLINE`, those that run and
   * those that wait. It holds at the node that the Run is sent to, not at others that work on it; nodes without this
   * extension of the protocol refuse it (`RPC_CALL_INVALID`, `rpcCode` -32601). Default: what programs and nodes allow.
   */
  readonly deadlineMs?: number | undefined;
}

export interface SentRun {
  readonly hash: Hash;
  /** A Run of one step is complete with its Proof. */
  readonly stepCount: number;
}

/**
 * Sends a Run; resolves once the node has taken it and has downloaded its input files. Local inputs are served over
 * HTTP until then, or uploaded. Throws `REFUSED` with the node's reason, `CANNOT_REACH_NODE`, `INPUT_INVALID`,
 * `OPTION_INVALID`, `NO_KEY`, `UPLOAD_FAILED`, `TOKEN_REFUSED` or `CANCELLED`. Protocol section 3.
 *
 * ```ts
 * const run = await client.run({
 *   steps: [
 *     { program: prover.hash, inputs: [{ file: "witness.json", vmPath: "/workspace/witness.json" }] },
 *     { program: verifier.hash, inputs: [{ output: "/workspace/proof.json", from: prover.hash }] },
 *   ],
 * });
 * const { proofs } = await run.result();
 * ```
 */
export async function run(context: ClientContext, options: RunOptions): Promise<SentRun> {
  checkObject("run", options);
  const { nonce = randomNonce() } = options;
  checkNonce(nonce);
  checkCount("deadlineMs", options.deadlineMs, 1);
  checkSignal(options.signal);
  checkFunction("onProgress", options.onProgress);
  checkSteps(options.steps);
  const signer = await context.getSigner();
  return withHostedFiles(context, options, async (hosted) => {
    const steps: WorkflowStep[] = [];
    for (const { program, args = [], inputs = [] } of options.steps) {
      const resolved = [];
      for (const input of inputs) resolved.push(await resolveInput(hosted, input));
      steps.push({ program: parseHash(program), args, inputs: resolved });
    }
    const transaction = await signWith(signer, { kind: "run", steps }, nonce);
    const hash = await sendTransaction(context, transaction, options);
    return { hash, stepCount: steps.length };
  });
}

function checkSteps(steps: readonly StepOptions[]): void {
  if (!Array.isArray(steps) || steps.length === 0)
    throw optionInvalid("steps", "give an array of at least one step, as { program: hash }.");
  for (const [at, step] of steps.entries()) {
    checkObject(`steps[${at}]`, step);
    checkArray(`steps[${at}].args`, step.args);
    if (step.args?.some((arg: unknown) => typeof arg !== "string"))
      throw optionInvalid(`steps[${at}].args`, "give strings; the program gets them as they are.");
    checkArray(`steps[${at}].inputs`, step.inputs);
    for (const [index, input] of (step.inputs ?? []).entries())
      checkObject(`steps[${at}].inputs[${index}]`, input);
  }
}
