import { GevulotError } from "gevulot-sdk";
import {
  encodeTransaction,
  type Payload,
  type ProgramMetadata,
  type Transaction,
  type VerifyDeps,
  verifyTransaction,
} from "gevulot-sdk/protocol";
import { relativePathProblem, vmPathProblem } from "../files/layout.ts";
import { deployedVolumes } from "../image/deployedVolumes.ts";
import { MAX_TRANSACTION_BYTES } from "../result/createResultTransaction.ts";
import type { Verified } from "./stages.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    /** The transaction is well signed, but this node can't take it. Sending it again changes nothing. */
    TX_REFUSED: { hash: string };
    TX_TOO_LARGE: { hash: string; bytes: number; maxBytes: number };
  }
}

const MAX_STEPS = 64;
const MAX_INPUTS = 1_024;
/** What a database column of 8 bytes holds. */
const MAX_RESOURCE = 2n ** 63n - 1n;
const CHECKSUM = /^[0-9a-f]{64}$/;

/**
 * Protocol section 3: hash, signature and workflow; then what a node needs to hold the files and rows of a
 * transaction. Throws what the sender has to mend.
 */
export function verify(tx: Transaction, deps: VerifyDeps): Verified {
  requireSize(tx);
  verifyTransaction(tx, deps);
  const problem = payloadProblem(tx.payload);
  if (problem !== null) throw new GevulotError("TX_REFUSED", problem, { context: { hash: tx.hash } });
  return tx as Verified;
}

/** First: a hash of much is work. */
function requireSize(tx: Transaction): void {
  const bytes = encodeTransaction(tx).length;
  if (bytes <= MAX_TRANSACTION_BYTES) return;
  throw new GevulotError(
    "TX_TOO_LARGE",
    `The transaction has ${bytes} bytes, ${MAX_TRANSACTION_BYTES} are allowed. Hand large data over as files.`,
    { context: { hash: tx.hash, bytes, maxBytes: MAX_TRANSACTION_BYTES } },
  );
}

function payloadProblem(payload: Payload): string | null {
  if (hasNul(payload))
    return "A text of the transaction holds a NUL character, which can't be stored. Remove it.";
  if (payload.kind === "deploy") {
    return programProblem("prover", payload.prover) ?? programProblem("verifier", payload.verifier);
  }
  if (payload.kind === "run") return runProblem(payload);
  if (payload.kind === "proof" || payload.kind === "verification") {
    for (const file of payload.files) {
      const problem = vmPathProblem(file.name);
      if (problem !== null) return `The output file name "${file.name}" can't be used: ${problem}.`;
    }
  }
  return null;
}

function programProblem(role: string, program: ProgramMetadata): string | null {
  const problem = relativePathProblem(program.imageFileName);
  if (problem !== null)
    return `The ${role}'s image file name "${program.imageFileName}" can't be used: ${problem}.`;
  if (!CHECKSUM.test(program.imageFileChecksum)) {
    return `The ${role}'s image checksum must be the file's BLAKE3 as 64 lowercase hex digits.`;
  }
  for (const [name, amount] of Object.entries(program.resources ?? {})) {
    if (amount > MAX_RESOURCE) return `The ${role} asks for ${amount} (${name}), which no machine has.`;
  }
  const { problem: volumes } = deployedVolumes(program.imageFileUrl);
  if (volumes !== null) return `The ${role}'s volumes can't be mounted: ${volumes}.`;
  return urlProblem(`the ${role}'s image`, program.imageFileUrl);
}

function runProblem(run: Extract<Payload, { kind: "run" }>): string | null {
  if (run.steps.length === 0) return "The Run has no steps. Give at least a prover.";
  if (run.steps.length > MAX_STEPS) return `The Run has ${run.steps.length} steps, ${MAX_STEPS} are allowed.`;
  const earlier = new Set<string>();
  for (const [index, step] of run.steps.entries()) {
    if (step.inputs.length > MAX_INPUTS) return `Step ${index} has more than ${MAX_INPUTS} inputs.`;
    const names = new Set<string>();
    for (const input of step.inputs) {
      const problem = vmPathProblem(input.fileName);
      if (problem !== null)
        return `The input file name "${input.fileName}" of step ${index} can't be used: ${problem}.`;
      if (names.has(input.fileName)) return `Step ${index} has two inputs named "${input.fileName}".`;
      names.add(input.fileName);
      if (input.kind === "output" && !earlier.has(input.sourceProgram)) {
        return `Step ${index} takes "${input.fileName}" from program ${input.sourceProgram}, which is no earlier step.`;
      }
      if (input.kind === "input") {
        if (!CHECKSUM.test(input.checksum)) {
          return `The checksum of input "${input.fileName}" must be the file's BLAKE3 as 64 lowercase hex digits.`;
        }
        const badUrl = urlProblem(`input "${input.fileName}"`, input.fileUrl);
        if (badUrl !== null) return badUrl;
      }
    }
    earlier.add(step.program);
  }
  return inputPlacesProblem(run);
}

/** A Run has one tree for the input files of all its steps (protocol section 6). */
function inputPlacesProblem(run: Extract<Payload, { kind: "run" }>): string | null {
  const checksums = new Map<string, string>();
  const inputs = run.steps.flatMap((step) => step.inputs);
  for (const input of inputs) {
    if (input.kind !== "input") continue;
    const other = checksums.get(input.fileName) ?? input.checksum;
    if (other !== input.checksum) {
      return `Two steps take different files as "${input.fileName}". Give each its own name.`;
    }
    checksums.set(input.fileName, input.checksum);
  }
  const names = new Set(inputs.map(({ fileName }) => fileName));
  for (const name of names) {
    for (let at = name.lastIndexOf("/"); at > 0; at = name.lastIndexOf("/", at - 1)) {
      const folder = name.slice(0, at);
      if (names.has(folder))
        return `The input "${folder}" is a file, and the folder of "${name}". Rename one of them.`;
    }
  }
  return null;
}

function urlProblem(what: string, url: string): string | null {
  const protocol = URL.canParse(url) ? new URL(url).protocol : null;
  if (protocol === "http:" || protocol === "https:") return null;
  return `The URL of ${what} ("${url}") must be a full http:// or https:// address.`;
}

/** Postgres has no NUL in texts. */
function hasNul(value: unknown): boolean {
  if (typeof value === "string") return value.includes("\0");
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return false;
  return Object.values(value).some(hasNul);
}
