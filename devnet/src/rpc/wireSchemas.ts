import { z } from "zod";

/** Forms of values, for the OpenRPC document; the SDK's codecs read transactions themselves. */
export const hashHex = z.string().regex(/^[0-9a-f]{64}$/);
export const publicKeyHex = z
  .string()
  .regex(/^04[0-9a-f]{128}$/, "130 hex digits that begin with 04 are wanted");
const hashNumbers = z.array(z.int().min(0).max(255)).length(32);
const u64 = z.int().min(0).describe("0 to 2^64-1, a bare number: parse it without loss");
const isoTime = z.string().describe("ISO 8601, UTC");

const limbs = z.array(z.int().min(0).max(0xffffffff)).length(8);
export const transaction = z.object({
  author: z.string().describe("base64 of 65 bytes"),
  hash: hashNumbers,
  payload: z.union([z.literal("Empty"), z.record(z.string(), z.unknown())]).describe("protocol section 3"),
  nonce: u64,
  signature: z.object({ r: limbs, s: limbs }),
  state: z.null(),
});

export const rpcTransaction = z.object({
  author: publicKeyHex,
  hash: hashHex,
  payload: z.union([z.literal("Empty"), z.record(z.string(), z.unknown())]).describe("protocol section 5"),
  nonce: u64,
  signature: z.string().regex(/^[0-9a-f]{128}$/),
});

export const transactionTree = z
  .union([
    z.object({ Root: z.object({ children: z.array(z.unknown()), hash: hashNumbers }) }),
    z.object({ Node: z.object({ children: z.array(z.unknown()), hash: hashNumbers }) }),
    z.object({ Leaf: z.object({ hash: hashNumbers }) }),
  ])
  .describe("starts at the Root");

export const programMetadata = z.object({
  name: z.string(),
  hash: hashNumbers,
  image_file_name: z.string(),
  image_file_url: z.string(),
  image_file_checksum: z.string(),
  resource_requirements: z.object({ mem: u64, cpus: u64, gpus: u64 }),
});

export const RUN_STATES = ["submitted", "proving", "verifying", "complete", "failed"] as const;
export const TASK_STATES = ["queued", "running", "done", "failed"] as const;

const failure = z.object({
  code: z.string(),
  message: z.string(),
  step: z.int(),
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  consoleTail: z.string(),
});

export const runStatus = z.object({
  run: hashHex,
  state: z.enum(RUN_STATES),
  submittedAt: isoTime,
  endedAt: isoTime.nullable(),
  tasks: z.array(z.record(z.string(), z.unknown())),
  proofs: z.array(hashHex),
  verifications: z.array(hashHex),
  unreached: z
    .array(z.object({ tx: hashHex, bytes: z.int(), peers: z.array(z.string()) }))
    .describe("what is too large for peers of version 1"),
  failure: failure.nullable(),
});

export const runTrace = z.object({
  run: hashHex,
  node: publicKeyHex,
  p2pAddress: z.string().describe("host:port"),
  now: isoTime,
  spans: z.array(
    z.object({
      name: z.string(),
      startedAt: isoTime,
      endedAt: isoTime.nullable().describe("null: it goes on"),
      tx: hashHex.nullable(),
      kind: z.enum(["run", "proof", "verification"]),
      task: z.string().nullable(),
      step: z.int().nullable(),
      attempt: z.int().nullable(),
      peer: z.string().nullable().describe("host:port that the transaction came from"),
      detail: z.string(),
    }),
  ),
  leftOut: z.int().describe("how many more there are"),
});

const page = <S extends z.ZodType>(item: S) =>
  z.object({
    items: z.array(item),
    next: z.string().nullable().describe("give it as `before` to get what is older"),
  });

export const runPage = page(
  z.object({
    run: hashHex,
    author: publicKeyHex,
    state: z.enum(RUN_STATES),
    submittedAt: isoTime,
    programs: z.array(hashHex),
    proofs: z.int(),
    verifications: z.int(),
  }),
);

export const programPage = page(
  z.object({
    program: hashHex,
    name: z.string(),
    imageFileName: z.string(),
    imageFileUrl: z.string(),
    imageFileChecksum: z.string(),
    memMib: u64,
    cpus: u64,
    gpus: u64,
    author: publicKeyHex,
    deploy: hashHex,
    deployedAt: isoTime,
  }),
);

export const taskPage = page(
  z.object({
    id: z.string(),
    run: hashHex,
    author: publicKeyHex,
    step: z.int(),
    kind: z.enum(["proof", "verification"]),
    program: hashHex,
    programName: z.string(),
    proof: hashHex.nullable(),
    state: z.enum(TASK_STATES),
    waitsFor: z.string().nullable(),
    attempts: z.int(),
    queuedAt: isoTime,
    endedAt: isoTime.nullable(),
    result: hashHex.nullable(),
    failure: z.string().nullable(),
  }),
);

const resources = z.object({ memMib: z.int(), cpus: z.int(), gpus: z.int() });

export const nodeInfo = z.object({
  publicKey: publicKeyHex,
  p2pAddress: z.string().describe("host:port"),
  version: z.string().describe("of this package"),
  execution: z.enum(["all", "assigned", "none"]),
  machine: z
    .object({ total: resources, held: resources, tasks: z.int() })
    .describe("what is there for tasks, what those that run hold of it, and how many they are"),
  peers: z
    .array(
      z.object({
        address: z.string(),
        httpUrl: z.string().nullable(),
        protocolVersion: z.int(),
        publicKey: z.string().nullable(),
        resources: resources.nullable(),
        connectedAt: isoTime,
        lastSeenAt: isoTime,
      }),
    )
    .describe("connected now"),
  banned: z
    .array(
      z.object({
        address: z.string(),
        publicKey: publicKeyHex.nullable(),
        reason: z.string(),
        until: isoTime,
      }),
    )
    .describe("peers that lied, and are not spoken to for a while"),
  nodes: z.array(z.object({ publicKey: publicKeyHex, resources })).describe("alive, this one included"),
});

export type NodeInfoReply = z.infer<typeof nodeInfo>;

const FOUND_KINDS = ["run", "proof", "verification", "deploy", "program", "other"] as const;

export const foundHashes = z.array(
  z.object({
    hash: hashHex,
    kind: z.enum(FOUND_KINDS).describe("other: a transaction of another kind"),
    run: hashHex.nullable().describe("that it belongs to"),
    name: z.string().nullable().describe("of a program or Deploy"),
  }),
);
