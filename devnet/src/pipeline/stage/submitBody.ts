import { z } from "zod";
import { type ProofRequest, STEP } from "../admit/proofRequest.ts";
import type { BlobStore } from "../data/blobStore.ts";
import type { ProverVersion } from "../plan/planTasks.ts";
import { bincodeList } from "./runInputs.ts";

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "must be a SHA-256, 64 hex digits");
const count = z.number().int().min(0);
const MAX_U32 = 2 ** 32 - 1;
const MAX_U64 = 2n ** 64n - 1n;

/** `POST /v1/runs`: data is named by its SHA-256 and was put before. */
const schema = z.strictObject({
  proof_id: z.uuid(),
  elf: sha256.optional(),
  public_input: sha256.optional(),
  private_input: sha256.optional(),
  block: z.record(z.string(), sha256).default({}),
  block_no: z
    .string()
    .refine((text) => /^\d{1,20}$/.test(text) && BigInt(text) <= MAX_U64, "must be a whole number of 64 bits")
    .optional(),
  seg_size: count.max(MAX_U32).default(131_072),
  target: z.enum(["split", "agg", "snark"]).default("snark"),
  from: z.enum(["init", "agg"]).default("init"),
  composite_proof: z.boolean().default(false),
  single_node: z.boolean().default(false),
  max_prover_num: count.max(100_000).default(0),
  receipt_inputs: z.array(sha256).default([]),
  receipts: z.array(sha256).default([]),
  priority: z.number().int().min(-100).max(100).default(0),
  deadline_seconds: z
    .number()
    .positive()
    .max(30 * 86_400)
    .optional(),
});

export type SubmitBody = z.infer<typeof schema>;

const TARGETS = { split: STEP.Split, agg: STEP.Agg, snark: STEP.Snark } as const;
const FROMS = { init: STEP.Init, agg: STEP.Agg } as const;

export type ParsedBody =
  | { readonly kind: "parsed"; readonly body: SubmitBody }
  | { readonly kind: "wrong"; readonly reason: string };

export function parseSubmitBody(value: unknown): ParsedBody {
  const result = schema.safeParse(value);
  if (result.success) return { kind: "parsed", body: result.data };
  const issue = result.error.issues[0]!;
  const field =
    issue.code === "unrecognized_keys" ? issue.keys.join(", ") : issue.path.join(".") || "the body";
  const problem =
    issue.code === "unrecognized_keys" ? "is unknown" : issue.message.replace(/^Invalid input: /, "");
  return { kind: "wrong", reason: `${field} ${problem}` };
}

/** Of the blobs that a body names those that are not there. */
export async function missingBlobs(blobs: BlobStore, body: SubmitBody): Promise<string[]> {
  const named = [
    ...[body.elf, body.public_input, body.private_input].filter((hash) => hash !== undefined),
    ...[...Object.values(body.block), ...body.receipt_inputs, ...body.receipts],
  ];
  const found = await Promise.all(
    named.map(async (hash) => ((await blobs.size(hash)) === null ? [hash] : [])),
  );
  return found.flat();
}

export async function toProofRequest(
  blobs: BlobStore,
  body: SubmitBody,
  version: ProverVersion,
): Promise<ProofRequest> {
  const read = async (hash: string | undefined) =>
    hash === undefined ? new Uint8Array() : blobs.readAll(hash);
  const privateInput = await read(body.private_input);
  const isList = version === "zkm2" && privateInput.length > 0;
  const readList = (hashes: readonly string[]) => Promise.all(hashes.map((hash) => blobs.readAll(hash)));
  return {
    proofId: body.proof_id,
    elfData: await read(body.elf),
    blockData: await Promise.all(
      Object.entries(body.block).map(async ([fileName, hash]) => ({
        fileName,
        fileContent: await blobs.readAll(hash),
      })),
    ),
    ...(body.block_no !== undefined && { blockNo: BigInt(body.block_no) }),
    segSize: body.seg_size,
    // The call is signed instead.
    signature: "",
    publicInput: await read(body.public_input),
    // Clients of gRPC send it as this list.
    privateInput: isList ? bincodeList([privateInput]) : privateInput,
    targetStep: TARGETS[body.target],
    compositeProof: body.composite_proof,
    receiptInputs: await readList(body.receipt_inputs),
    receipts: await readList(body.receipts),
    fromStep: FROMS[body.from],
    singleNode: body.single_node,
    maxProverNum: body.max_prover_num,
  };
}
