import { readFile } from "node:fs/promises";
import { GevulotError } from "gevulot-sdk";
import { parse as parseToml, TomlError } from "smol-toml";
import { z } from "zod";
import { parseHostPort } from "../hostPort.ts";
import { parseKey } from "./steps/stepKeys.ts";
import { isWildcard } from "./wire/isWildcard.ts";
import { S3_URL } from "./wire/s3Url.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PIPELINE_CONFIG: { path: string };
  }
}

/** `host:port`; the existing service's samples also write `0.0.0.0:50000`. */
const address = z.string().refine((text) => parseHostPort(text) !== null, "must be host:port");
const key = z
  .string()
  .refine(
    (text) => parseKey(text) !== null,
    "must be a path, path#sha256=HEX or sha256:HEX, with 64 hex digits",
  );
const seconds = z
  .number()
  .positive()
  .max(7 * 86_400);

/** What a step runs on a prover node: a command, or a program deployed on a Gevulot network. */
const step = z.union([
  z.strictObject({ command: z.array(z.string()).min(1) }),
  z.strictObject({
    program: z.string().regex(/^[0-9a-f]{64}$/, "must be a program's hash, 64 hex digits"),
    args: z.array(z.string()).default(["{in}", "{out}"]),
  }),
]);
const stepName = z.enum(["split", "prove", "agg", "snark", "single", "verify"]);
/** What a node must have to get a step's tasks. */
const needs = z.strictObject({
  gpu: z.number().int().min(0).optional(),
  mem_gib: z.number().positive().optional(),
  cores: z.number().int().min(1).optional(),
  labels: z.array(z.string().max(63)).optional(),
});

const schema = z.strictObject({
  // Of the existing service (its published samples start as they stand).
  addr: address,
  metrics_addr: address.optional(),
  database_url: z.string().optional(),
  prover_addrs: z.array(address).default([]),
  base_dir: z.string().min(1),
  proving_key_paths: z.array(key).default([]),
  /** Of a stage; their samples also name a folder. */
  fileserver_url: z.string().optional(),
  fileserver_addr: address.optional(),
  ca_cert_path: z.string().optional(),
  cert_path: z.string().optional(),
  key_path: z.string().optional(),
  max_concurrent_tasks: z.number().int().positive().optional(),
  // Ours, for both: the name in the others' certificates, where that is not the host that is dialled.
  tls_server_name: z.string().min(1).optional(),
  // Ours, for both, where base_dir is s3://bucket/prefix.
  cache_dir: z.string().min(1).optional(),
  s3_endpoint: z.url().optional(),
  s3_region: z.string().optional(),
  /** What nodes say to register, where a stage has one. It is a header of gRPC. */
  node_token: z
    .string()
    .regex(/^[!-~]{16,256}$/, "must be 16 to 256 characters of ASCII, without spaces")
    .optional(),
  // Ours, for stages.
  /** Of prover_addrs those that wrap; default: the first. */
  snark_addrs: z.array(address).optional(),
  /** Of prover_addrs the first so many prove; default: all. */
  prove_nodes_num: z.number().int().min(1).optional(),
  api_addr: address.optional(),
  prover_version: z.enum(["zkm", "zkm2"]).default("zkm"),
  /** Deadline of each step's task; the existing service waits two hours. */
  deadline_seconds: z.partialRecord(stepName, seconds).default({}),
  max_attempts: z.number().int().min(1).max(20).default(4),
  needs: z.partialRecord(stepName.exclude(["verify"]), needs).default({}),
  /** Nodes register themselves; else only those of prover_addrs get work. */
  accept_nodes: z.boolean().default(true),
  /** After its end. */
  keep_runs_days: z.number().positive().max(36_500).default(30),
  // Ours, for prover nodes.
  steps: z.partialRecord(stepName, step).default({}),
  stage_addrs: z.array(address).default([]),
  advertise_addr: address.optional(),
  name: z.string().max(255).optional(),
  can: z.array(stepName).optional(),
  labels: z.array(z.string().max(63)).default([]),
  slots: z.number().int().min(1).max(1_024).default(1),
  /** For what it fetched. */
  cache_gib: z.number().positive().max(1_000_000).default(20),
  gpu: z.number().int().min(0).default(0),
  mem_gib: z.number().positive().optional(),
  // Ours, for both: the network that runs steps which are programs, and the account that asks it to.
  rpc_url: z.url().optional(),
  key_file: z.string().optional(),
});

export type PipelineConfig = Readonly<z.infer<typeof schema>>;
export type StepName = z.infer<typeof stepName>;
export type StepConfig = z.infer<typeof step>;

/** Reads a configuration file, the existing service's too. Throws `PIPELINE_CONFIG`, which names the key. */
export async function readPipelineConfig(
  path: string,
  role: "stage" | "prover",
  /** By key: what was given beside the file, and goes before it. */
  changes: Readonly<Record<string, unknown>> = {},
): Promise<PipelineConfig> {
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    throw problem(
      path,
      `Can't read the configuration ${path} (${cause.message}). Give its path with --config.`,
      cause,
    );
  });
  return parsePipelineConfig(text, path, role, changes);
}

export function parsePipelineConfig(
  text: string,
  path: string,
  role: "stage" | "prover",
  changes: Readonly<Record<string, unknown>> = {},
): PipelineConfig {
  const config = check({ ...readToml(text, path), ...changes }, path);
  if (role === "stage") checkStage(config, path);
  else checkProver(config, path);
  if ((config.cert_path === undefined) !== (config.key_path === undefined)) {
    throw problem(path, `${path}: cert_path and key_path belong together: give both for TLS, or neither.`);
  }
  if (config.ca_cert_path !== undefined && config.cert_path === undefined) {
    throw problem(
      path,
      `${path}: ca_cert_path alone would listen without TLS. Give cert_path and key_path too, or take it out.`,
    );
  }
  checkPrograms(config, path);
  checkBase(config, path);
  return Object.freeze(config);
}

function readToml(text: string, path: string): object {
  try {
    return parseToml(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const reason = error.message.split("\n")[0];
    throw problem(path, `${path}, line ${error.line}: ${reason}. Mend the line; the file is TOML.`, error);
  }
}

function check(value: unknown, path: string): PipelineConfig {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  const key = issue.path.join(".");
  if (issue.code === "unrecognized_keys") {
    const where = key === "" ? "" : ` in ${key}`;
    throw problem(
      path,
      `${path}: unknown key ${issue.keys.join(", ")}${where}. Take it out, or see docs/pipeline.md for the keys.`,
    );
  }
  throw problem(path, `${path}: ${key} ${issue.message.replace(/^Invalid input: /, "")}. Mend that key.`);
}

function checkStage(config: PipelineConfig, path: string): void {
  const { database_url: url, prover_addrs: listed, snark_addrs: wrapping = [] } = config;
  const unlisted = wrapping.find((addr) => !listed.includes(addr));
  if (unlisted !== undefined) {
    throw problem(
      path,
      `${path}: snark_addrs names ${unlisted}, which is not in prover_addrs. Add it there, or take it out.`,
    );
  }
  if (url === undefined) {
    throw problem(path, `${path}: a stage needs database_url, e.g. postgres://user:password@host/database.`);
  }
  if (/^mysql:/i.test(url)) {
    throw problem(
      path,
      `${path}: database_url names a MySQL database; this stage keeps its state in PostgreSQL. Create an empty ` +
        "PostgreSQL database and give its URL, e.g. postgres://user:password@host/pipeline.",
    );
  }
  if (!/^postgres(ql)?:/i.test(url)) {
    throw problem(path, `${path}: database_url must begin with postgres://.`);
  }
}

function checkProver(config: PipelineConfig, path: string): void {
  const { addr, advertise_addr: advertised, stage_addrs: stages, can = [], steps } = config;
  if (stages.length > 0 && isWildcard(advertised ?? addr)) {
    throw problem(
      path,
      `${path}: stages can't dial ${advertised ?? addr}. Add advertise_addr, the address under which they reach this node.`,
    );
  }
  const unable = can.find((name) => name === "verify" || steps[name] === undefined);
  if (unable === undefined) return;
  const reason =
    unable === "verify"
      ? "which is done at the stage. Take it out"
      : `which [steps] does not configure. Add steps.${unable}, or take it out`;
  throw problem(path, `${path}: can (--can) names ${unable}, ${reason}.`);
}

function checkPrograms({ steps, rpc_url, key_file }: PipelineConfig, path: string): void {
  const programs = Object.entries(steps).filter(([, step]) => "program" in step);
  if (programs.length === 0 || (rpc_url !== undefined && key_file !== undefined)) return;
  const missing = rpc_url === undefined ? "rpc_url, the RPC address of a node" : "key_file, an account's key";
  throw problem(
    path,
    `${path}: steps.${programs[0]![0]} is a deployed program, and no network is named to run it. Add ${missing}.`,
  );
}

function checkBase({ base_dir: base, cache_dir: cache }: PipelineConfig, path: string): void {
  if (!/^[a-z0-9]+:\/\//i.test(base)) return;
  if (!S3_URL.test(base)) {
    throw problem(
      path,
      `${path}: base_dir must be a folder, or a bucket as s3://bucket/prefix, not ${base}.`,
    );
  }
  if (cache === undefined) {
    throw problem(
      path,
      `${path}: base_dir is a bucket: add cache_dir, a folder of this machine for its files.`,
    );
  }
}

function problem(path: string, message: string, cause?: unknown): GevulotError {
  return new GevulotError("PIPELINE_CONFIG", message, { context: { path }, cause });
}
