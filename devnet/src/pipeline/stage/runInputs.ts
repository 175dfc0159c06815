import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { type ProofRequest, STEP } from "../admit/proofRequest.ts";
import type { BlobStore } from "../data/blobStore.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import type { ProverVersion, RunShape, Target } from "../plan/planTasks.ts";
import { elfPath, runFolder, runRoot } from "../runFolder.ts";
import type { RunContext } from "../store/runs.ts";
import { folderOf } from "./taskRequest.ts";

const U64_BYTES = 8;
/** The wrap alone needs none. */
const NO_PROGRAM = { program_id: "", elf_path: "" };

/** Keeps a request's data by its SHA-256, and says where {@link placeInputs} puts it. */
export async function storeInputs(
  deps: { readonly blobs: BlobStore; readonly baseDir: string; readonly version: ProverVersion },
  request: ProofRequest,
): Promise<RunContext> {
  const { blobs, baseDir } = deps;
  const folder = runFolder(runRoot(baseDir, request.proofId), request.blockNo);
  const files: Record<string, string> = {};
  const store = async (path: string, data: Uint8Array): Promise<string> => {
    files[path] = (await blobs.put(data)).hash;
    return path;
  };
  const storeElf = async (): Promise<typeof NO_PROGRAM> => {
    const isNew = request.elfData.length > 0;
    // Admission found the ELF that it names.
    const programId = isNew ? sha256(request.elfData) : request.elfId!;
    const elf = elfPath(baseDir, programId);
    if (isNew) await store(elf, request.elfData);
    else files[elf] = (await blobs.putFile(elf)).hash;
    return { program_id: programId, elf_path: elf };
  };
  const program = request.fromStep === STEP.Agg ? NO_PROGRAM : await storeElf();
  for (const { fileName, fileContent } of request.blockData)
    await store(`${folder.block}/${fileName}`, fileContent);
  const storeUnlessEmpty = async (path: string, data: Uint8Array): Promise<string> =>
    data.length === 0 ? "" : store(path, data);
  const list = (items: readonly Uint8Array[]) => (items.length === 0 ? new Uint8Array() : bincodeList(items));
  return {
    proof_id: request.proofId,
    ...program,
    base_dir: folder.root,
    seg_path: folder.segments,
    prove_path: folder.proves,
    agg_path: folder.aggregates,
    snark_path: folder.snarkProof,
    public_input_path: await storeUnlessEmpty(folder.publicInput, request.publicInput),
    private_input_path: await storeUnlessEmpty(folder.privateInput, request.privateInput),
    output_stream_path: folder.outputStream,
    receipt_inputs_path: await storeUnlessEmpty(folder.receiptInputs, list(request.receiptInputs)),
    receipts_path: await storeUnlessEmpty(folder.receipts, list(request.receipts)),
    block_no: request.blockNo === undefined ? null : jsonNumber(request.blockNo),
    seg_size: request.segSize,
    target_step: stepName(request.targetStep ?? STEP.Snark),
    from_step: stepName(request.fromStep ?? STEP.Init),
    composite_proof: request.compositeProof,
    single_node: request.singleNode,
    max_prover_num: request.maxProverNum,
    version: deps.version === "zkm" ? "ZKM" : "ZKM2",
    files,
  };
}

/** Puts a run's data where the existing service's nodes look for it, and makes the folders in which they write. */
export async function placeInputs(
  { blobs, base }: { readonly blobs: BlobStore; readonly base: SharedBase },
  context: RunContext,
): Promise<void> {
  const folder = folderOf({ context });
  const publicValues = folder.publicValues(context.version === "ZKM" ? "zkm" : "zkm2");
  const written = [folder.publicInput, folder.outputStream, publicValues, folder.snarkProof].map(dirname);
  for (const path of [folder.block, folder.segments, folder.receiptFolder, ...written])
    await mkdir(path, { recursive: true });
  for (const [path, hash] of Object.entries(context.files)) await blobs.place(hash, path);
  if (context.from_step !== "Agg") return;
  // Clients fetch them all the same. A file of its own: nodes write into it.
  await writeFile(publicValues, "");
  await base.publish(publicValues);
}

/** The graph that a request asks for. */
export function shapeOf(request: ProofRequest, version: ProverVersion, verifies: boolean): RunShape {
  const step = request.targetStep ?? STEP.Snark;
  const last: Target = step === STEP.Agg ? "agg" : "snark";
  // Proofs of segments are kept apart where there are any.
  const isComposite = request.compositeProof && !request.singleNode;
  const asked: Target = step === STEP.Split ? "split" : isComposite ? "prove" : last;
  const fromAgg = request.fromStep === STEP.Agg;
  // From there only the wrap is left, as with the existing service.
  const target: Target = fromAgg ? "snark" : asked;
  return {
    version,
    target,
    fromAgg,
    singleNode: request.singleNode,
    deferredProofs: 0,
    verifies: verifies && (target === "agg" || target === "snark"),
  };
}

/** What makes two requests the same one; who signed it is no part of it. */
export function requestHash(request: ProofRequest): string {
  const content = [
    ...[request.proofId, sha256(request.elfData), request.elfId ?? null, request.segSize],
    request.blockData.map(({ fileName, fileContent }) => [fileName, sha256(fileContent)]),
    request.blockNo === undefined ? null : String(request.blockNo),
    ...[sha256(request.publicInput), sha256(request.privateInput)],
    ...[request.targetStep ?? STEP.Snark, request.fromStep ?? STEP.Init, request.compositeProof],
    ...[request.receiptInputs.map(sha256), request.receipts.map(sha256)],
    ...[request.singleNode, request.maxProverNum],
  ];
  return sha256(new TextEncoder().encode(JSON.stringify(content)));
}

/** bincode of a list of byte strings: u64 LE count, then each with its u64 LE length. */
export function bincodeList(items: readonly Uint8Array[]): Buffer {
  const u64 = (value: number) => {
    const bytes = Buffer.alloc(U64_BYTES);
    bytes.writeBigUInt64LE(BigInt(value));
    return bytes;
  };
  return Buffer.concat([u64(items.length), ...items.flatMap((item) => [u64(item.length), item])]);
}

/** The reverse of {@link bincodeList}. */
export function parseBincodeList(bytes: Uint8Array): Uint8Array[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items: Uint8Array[] = [];
  let at = U64_BYTES;
  for (let left = view.readBigUInt64LE(0); left > 0n; left -= 1n) {
    const length = Number(view.readBigUInt64LE(at));
    items.push(view.subarray(at + U64_BYTES, at + U64_BYTES + length));
    at += U64_BYTES + length;
  }
  return items;
}

function jsonNumber(value: bigint): number | string {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : String(value);
}

function stepName(step: number): string {
  return Object.entries(STEP).find(([, value]) => value === step)![0];
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
