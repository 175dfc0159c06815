import { createHash } from "node:crypto";
import type { ProverVersion } from "../plan/planTasks.ts";
import { isFileName, MAX_NAME_BYTES } from "./fileName.ts";
import { type ProofRequest, STEP } from "./proofRequest.ts";
import { recoverAddress, signedText } from "./requestSignature.ts";

const MIN_SEG_SIZE = 1_024;
const MAX_SEG_SIZE = 4_194_304;
const FROM_STEPS: readonly number[] = [STEP.Init, STEP.Agg];
const TARGET_STEPS: readonly number[] = [STEP.Split, STEP.Agg, STEP.Snark];
const ONE_NAME = `only a single file name of at most ${MAX_NAME_BYTES} bytes, without separators`;

export interface AdmissionDeps {
  readonly version: ProverVersion;
  /** Is the address, 40 hex digits in EIP-55 spelling, one of the service's users? */
  readonly isUser: (address: string) => Promise<boolean>;
  readonly hasElf: (elfId: string) => Promise<boolean>;
}

export type Admission =
  | { readonly kind: "admitted"; readonly address: string }
  /** Answered with status INVALID_PARAMETER and this text. */
  | { readonly kind: "refused"; readonly reason: string };

/**
 * Whether a request is taken. Texts and order are the contract's (section 2), on which clients rely; the checks of
 * names, which the existing service lacks, come last.
 */
export async function admit(request: ProofRequest, deps: AdmissionDeps): Promise<Admission> {
  const wrongSize = refusalOfSegSize(request, deps.version);
  if (wrongSize !== null) return refused(wrongSize);
  const address = recoverAddress(signedText(request), request.signature);
  if (address === null) return refused("invalid signature");
  if (!(await deps.isUser(address))) return refused("permission denied");
  const reason = await refusalOfContent(request, deps);
  return reason === null ? { kind: "admitted", address } : refused(reason);
}

/** Null where the size of its segments is right. */
export function refusalOfSegSize(
  { segSize, compositeProof }: ProofRequest,
  version: ProverVersion,
): string | null {
  if (version !== "zkm" || compositeProof) return null;
  if (segSize >= MIN_SEG_SIZE && segSize <= MAX_SEG_SIZE) return null;
  return `invalid seg_size support [${MIN_SEG_SIZE}-${MAX_SEG_SIZE}]`;
}

/** What is wrong with a request beside its size and its signer; null where nothing is. */
export async function refusalOfContent(
  request: ProofRequest,
  deps: Pick<AdmissionDeps, "hasElf">,
): Promise<string | null> {
  return (await refusalOfWork(request, deps)) ?? refusalOfElfId(request) ?? refusalOfNames(request);
}

async function refusalOfWork(
  request: ProofRequest,
  deps: Pick<AdmissionDeps, "hasElf">,
): Promise<string | null> {
  const { fromStep = STEP.Init, targetStep = STEP.Snark } = request;
  if (!FROM_STEPS.includes(fromStep)) return "invalid FromStep, only Support Init and Agg";
  if (!TARGET_STEPS.includes(targetStep)) return "invalid TargetStep, only Support Split, Agg and Snark";
  // The wrap alone needs no program.
  if (fromStep === STEP.Init && request.elfData.length === 0) {
    if (!request.elfId) return "elf_data or elf_id should not be empty";
    if (!(await deps.hasElf(request.elfId))) return "elf_id not found";
  }
  const lacksReceipts = request.receiptInputs.length === 0 || request.singleNode;
  if (fromStep === STEP.Agg && lacksReceipts) return "receipt_inputs should not empty";
  return null;
}

/** ELFs are kept by their SHA-256: no other name for one that came with the request. */
function refusalOfElfId({ elfData, elfId, fromStep }: ProofRequest): string | null {
  if (elfData.length === 0 || !elfId || fromStep === STEP.Agg) return null;
  const hash = createHash("sha256").update(elfData).digest("hex");
  return elfId === hash ? null : "elf_id is not the SHA-256 of elf_data: give one of them";
}

/** They become names of folders and files. */
function refusalOfNames(request: ProofRequest): string | null {
  if (!isFileName(request.proofId)) return `invalid proof_id, ${ONE_NAME}`;
  const bad = request.blockData.find((item) => !isFileName(item.fileName));
  return bad ? `invalid file_name ${JSON.stringify(bad.fileName)}, ${ONE_NAME}` : null;
}

function refused(reason: string): Admission {
  return { kind: "refused", reason };
}
