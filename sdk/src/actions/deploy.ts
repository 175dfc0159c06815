import { checkFunction, checkNonce, checkObject, checkSignal, checkText } from "../context/checkOptions.ts";
import type { ClientContext, FileActionOptions } from "../context/context.ts";
import { withHostedFiles } from "../context/hostedFiles.ts";
import { signWith } from "../context/signer.ts";
import { randomNonce } from "../protocol/signTransaction.ts";
import type { Hash, ProgramMetadata } from "../protocol/transaction.ts";
import { type ProgramSource, resolveProgram } from "./programSource.ts";
import { sendTransaction } from "./sendTransaction.ts";

export interface DeployOptions extends FileActionOptions {
  /** For people. */
  readonly name: string;
  readonly prover: ProgramSource;
  readonly verifier: ProgramSource;
  /** Default: a random one. */
  readonly nonce?: bigint | undefined;
}

export interface Deployment {
  /** Of the Deploy transaction. */
  readonly hash: Hash;
  /** `prover.hash` and `verifier.hash` are what a Run names. */
  readonly prover: ProgramMetadata;
  readonly verifier: ProgramMetadata;
}

/**
 * Deploys a prover and a verifier; resolves once the node has downloaded and checked both images. Local images are
 * served over HTTP until then, or uploaded. Throws `REFUSED` with the node's reason, `CANNOT_REACH_NODE`,
 * `PROGRAM_INVALID`, `OPTION_INVALID`, `NO_KEY`, `FILE_UNREADABLE`, `FILE_HOST_FAILED`, `UPLOAD_FAILED`,
 * `TOKEN_REFUSED` or `CANCELLED`. Protocol sections 2 and 3.
 *
 * ```ts
 * const { prover, verifier } = await client.deploy({
 *   name: "preimage",
 *   prover: { file: "prover.img", resources: { memMib: 1024, cpus: 1 } },
 *   verifier: { file: "verifier.img" },
 * });
 * ```
 */
export async function deploy(context: ClientContext, options: DeployOptions): Promise<Deployment> {
  checkObject("deploy", options);
  const { name, signal, nonce = randomNonce() } = options;
  checkText("name", name);
  checkNonce(nonce);
  checkSignal(signal);
  checkFunction("onProgress", options.onProgress);
  const signer = await context.getSigner();
  return withHostedFiles(context, options, async (hosted) => {
    const prover = await resolveProgram(context, hosted, "prover", options.prover, signal);
    const verifier = await resolveProgram(context, hosted, "verifier", options.verifier, signal);
    const transaction = await signWith(signer, { kind: "deploy", name, prover, verifier }, nonce);
    const hash = await sendTransaction(context, transaction, { signal });
    return { hash, prover, verifier };
  });
}
