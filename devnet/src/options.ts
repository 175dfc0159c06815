import { availableParallelism, totalmem } from "node:os";
import { GevulotError } from "gevulot-sdk";
import { z } from "zod";
import { parseHostPort } from "./hostPort.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    OPTION_INVALID: { option: string };
  }
}

/** One option of `gevulot-node run`: its flag, its variable and its default stand side by side. */
interface OptionSpec {
  readonly flag: string;
  readonly variable: string;
  readonly type: "string" | "number" | "boolean";
  readonly default: string | number | boolean | undefined;
  readonly describe: string;
}

const spec = (
  flag: string,
  variable: string,
  type: OptionSpec["type"],
  fallback: OptionSpec["default"],
  describe: string,
): OptionSpec => ({ flag, variable, type, default: fallback, describe });

const MIB = 2 ** 20;
/** What the node leaves to itself, Postgres and the system. */
const HOST_RESERVE_MIB = 1_024;

/** Protocol section 10, with the existing node's names and defaults; the last ones are ours. */
export const NODE_OPTIONS: readonly OptionSpec[] = [
  spec(
    "data-directory",
    "GEVULOT_DATA_DIRECTORY",
    "string",
    "/var/lib/gevulot",
    "Where images, files and workspaces are kept",
  ),
  spec(
    "db-url",
    "GEVULOT_DB_URL",
    "string",
    "postgres://gevulot:gevulot@localhost/gevulot",
    "PostgreSQL 15 or newer",
  ),
  spec(
    "json-rpc-listen-addr",
    "GEVULOT_JSON_RPC_LISTEN_ADDR",
    "string",
    "127.0.0.1:9944",
    "Address of the JSON-RPC",
  ),
  spec(
    "log-directory",
    "GEVULOT_LOG_DIRECTORY",
    "string",
    "/var/lib/gevulot/log",
    "Consoles of tasks: <tx>/stdout.log",
  ),
  spec("no-execution", "GEVULOT_NODE_NO_EXECUTION", "boolean", false, "Keep transactions, run no tasks"),
  spec(
    "allow-unmounted-images",
    "GEVULOT_ALLOW_UNMOUNTED_IMAGES",
    "boolean",
    false,
    "Take Nanos images that mount no share of the node, whose programs find no task",
  ),
  spec(
    "node-key-file",
    "GEVULOT_NODE_KEY_FILE",
    "string",
    "/var/lib/gevulot/node.key",
    "The node's secret key, 32 raw bytes",
  ),
  spec(
    "p2p-listen-addr",
    "GEVULOT_P2P_LISTEN_ADDR",
    "string",
    "127.0.0.1:9999",
    "Address for peers; the files are served on its host",
  ),
  spec(
    "p2p-advertised-listen-addr",
    "GEVULOT_P2P_ADVERTISED_LISTEN_ADDR",
    "string",
    undefined,
    "host:port by which others reach this node",
  ),
  spec(
    "p2p-discovery-addrs",
    "GEVULOT_P2P_DISCOVERY_ADDR",
    "string",
    undefined,
    "Nodes to begin with, host:port, comma separated",
  ),
  spec(
    "p2p-psk-passphrase",
    "GEVULOT_PSK_PASSPHRASE",
    "string",
    undefined,
    "Passphrase of the network; default the public one's",
  ),
  spec(
    "execution",
    "GEVULOT_EXECUTION",
    "string",
    "all",
    "Who works: all nodes on every Run, as in the existing network, or those that are assigned by rank",
  ),
  spec("provers", "GEVULOT_PROVERS", "number", 1, "Nodes that prove a step, where work is assigned"),
  spec("verifiers", "GEVULOT_VERIFIERS", "number", 3, "Nodes that verify a Proof, where work is assigned"),
  spec(
    "attempts",
    "GEVULOT_ATTEMPTS",
    "number",
    3,
    "Nodes that are tried for a result, where work is assigned",
  ),
  spec(
    "machine-folder",
    "GEVULOT_MACHINE_FOLDER",
    "string",
    undefined,
    "Folder where the nodes of one machine count its memory and CPUs together; default each for itself",
  ),
  spec("http-download-port", "GEVULOT_HTTP_PORT", "number", 9995, "Port of the file server"),
  spec("provider", "GEVULOT_PROVIDER", "string", "qemu", "What runs tasks: qemu, process or auto"),
  spec(
    "inspect-port",
    "GEVULOT_INSPECT_PORT",
    "number",
    undefined,
    "With --provider process: Node.js's debugger can attach to programs on this port, 0 for any",
  ),
  spec(
    "inspect-brk",
    "GEVULOT_INSPECT_BRK",
    "boolean",
    false,
    "With --inspect-port: programs wait for the debugger before their first line",
  ),
  spec(
    "vsock-listen-port",
    "GEVULOT_VSOCK_LISTEN_PORT",
    "number",
    8080,
    "VSOCK port of /dev/vhost-vsock; existing programs connect to 8080",
  ),
  spec(
    "vhost-device-vsock",
    "GEVULOT_VHOST_DEVICE_VSOCK",
    "string",
    undefined,
    "rust-vmm's program, for VSOCK without /dev/vhost-vsock; default from PATH, else what set-up installed",
  ),
  spec("num-cpus", "GEVULOT_CPUS", "number", undefined, "CPUs for tasks; default the machine's"),
  spec(
    "mem-gb",
    "GEVULOT_MEM_GB",
    "number",
    undefined,
    "GiB of memory for tasks; default the machine's less 1",
  ),
  spec(
    "gpu-devices",
    "GEVULOT_GPU_DEVICES",
    "string",
    undefined,
    "PCI addresses of GPUs for tasks, comma separated",
  ),
  spec("qemu-path", "GEVULOT_QEMU_PATH", "string", "qemu-system-x86_64", "The QEMU program"),
  spec(
    "log-level",
    "GEVULOT_LOG_LEVEL",
    "string",
    undefined,
    "trace, debug, info, warn or error; RUST_LOG's plain levels too",
  ),
  spec("cpu-factor", "GEVULOT_CPU_FACTOR", "number", 2, "How often a CPU is given to tasks"),
  spec("task-deadline-seconds", "GEVULOT_TASK_DEADLINE_SECONDS", "number", 3_600, "Longest time of one task"),
  spec(
    "task-idle-seconds",
    "GEVULOT_TASK_IDLE_SECONDS",
    "number",
    undefined,
    "A task that did nothing for so long is stopped; default never",
  ),
  spec("boot-seconds", "GEVULOT_BOOT_SECONDS", "number", undefined, "For a VM to start; default 60 and more"),
  spec("max-output-gb", "GEVULOT_MAX_OUTPUT_GB", "number", 16, "GiB that a task may leave in its workspace"),
  spec(
    "max-output-files",
    "GEVULOT_MAX_OUTPUT_FILES",
    "number",
    100_000,
    "Files and folders that a task may leave in its workspace",
  ),
  spec(
    "volumes-directory",
    "GEVULOT_VOLUMES_DIRECTORY",
    "string",
    undefined,
    "Folder of the volumes that programs name; default ~/.local/share/gevulot/volumes",
  ),
  spec("max-body-mib", "GEVULOT_MAX_BODY_MIB", "number", 64, "Largest JSON-RPC body"),
  spec(
    "http-healthcheck-listen-addr",
    "GEVULOT_HEALTHCHECK_LISTEN_ADDR",
    "string",
    "127.0.0.1:8888",
    "Address of /healthz and /ready",
  ),
  spec(
    "http-metrics-listen-addr",
    "GEVULOT_METRICS_LISTEN_ADDR",
    "string",
    undefined,
    "Address of the metrics, Prometheus text",
  ),
  spec(
    "acl-whitelist-url",
    "GEVULOT_ACL_WHITELIST_URL",
    "string",
    undefined,
    "A text file, one hex key a line, merged into the access list every 10 minutes",
  ),
  spec(
    "acl",
    "GEVULOT_ACL",
    "string",
    "auto",
    "Access list: on, off, or auto: on with --acl-whitelist-url or once the list has a key",
  ),
  spec(
    "cors-origins",
    "GEVULOT_CORS_ORIGINS",
    "string",
    undefined,
    "Origins of web apps that may use the node, comma separated; those of this machine always may",
  ),
  spec(
    "allowed-hosts",
    "GEVULOT_ALLOWED_HOSTS",
    "string",
    undefined,
    "Names of this node in Host headers, comma separated; addresses and localhost always are",
  ),
  spec(
    "access-token-file",
    "GEVULOT_ACCESS_TOKEN_FILE",
    "string",
    undefined,
    "File with the token that RPC, events and uploads want; needed where the RPC listens beyond this machine",
  ),
  spec(
    "allow-open-rpc",
    "GEVULOT_ALLOW_OPEN_RPC",
    "boolean",
    false,
    "Listen beyond this machine without a token",
  ),
  spec(
    "rpc-rate-limit",
    "GEVULOT_RPC_RATE_LIMIT",
    "number",
    undefined,
    "RPC calls a second of one address, 0 for no limit; default 100 beyond this machine, else none",
  ),
  spec(
    "keep-days",
    "GEVULOT_KEEP_DAYS",
    "number",
    undefined,
    "Remove files and consoles of Runs that ended longer ago, and uploads; default never",
  ),
  spec(
    "max-disk-gb",
    "GEVULOT_MAX_DISK_GB",
    "number",
    undefined,
    "GiB for files of Runs, consoles and uploads: the oldest that no task needs go first; default no limit",
  ),
];

const address = z.string().transform((text, context) => {
  const parsed = parseHostPort(text);
  if (parsed) return parsed;
  context.addIssue({ code: "custom", message: `"${text}" is no host:port` });
  return z.NEVER;
});

const positive = z.coerce.number().positive();

const flag = z.union([z.boolean(), z.enum(["true", "false"]).transform((text) => text === "true")]);
const list = z
  .string()
  .default("")
  .transform((text) => text.split(",").filter((item) => item !== ""));
/** The one above means any port. */
const MAX_VSOCK_PORT = 2 ** 32 - 2;
const ORIGIN = /^https?:\/\/[^/@?#\s]+$/;

const schema = z.object({
  dataDirectory: z.string().min(1),
  dbUrl: z.string().regex(/^postgres(ql)?:\/\//, "a URL that begins with postgres:// is wanted"),
  jsonRpcListenAddr: address,
  logDirectory: z.string().min(1),
  noExecution: flag,
  allowUnmountedImages: flag,
  nodeKeyFile: z.string().min(1),
  p2pListenAddr: address,
  p2pAdvertisedListenAddr: address.optional(),
  p2pDiscoveryAddrs: list.refine((all) => all.every((each) => address.safeParse(each).success), {
    message: "host:port is wanted, several with commas between them",
  }),
  p2pPskPassphrase: z.string().min(1).optional(),
  execution: z.enum(["all", "assigned"]),
  provers: positive.int(),
  verifiers: positive.int(),
  attempts: positive.int(),
  machineFolder: z.string().min(1).optional(),
  httpDownloadPort: z.coerce.number().int().min(0).max(65_535),
  provider: z.enum(["qemu", "process", "auto"]),
  inspectPort: z.coerce.number().int().min(0).max(65_535).optional(),
  inspectBrk: flag,
  vsockListenPort: z.coerce.number().int().min(1).max(MAX_VSOCK_PORT),
  vhostDeviceVsock: z.string().min(1).optional(),
  numCpus: positive.int().default(() => availableParallelism()),
  memGb: positive.default(() => Math.max(1, totalmem() / MIB - HOST_RESERVE_MIB) / 1_024),
  gpuDevices: list,
  qemuPath: z.string().min(1),
  logLevel: z.enum(["trace", "debug", "info", "warn", "error"]).default("info"),
  cpuFactor: positive,
  taskDeadlineSeconds: positive,
  taskIdleSeconds: positive.optional(),
  bootSeconds: positive.optional(),
  maxOutputGb: positive,
  maxOutputFiles: positive.int(),
  volumesDirectory: z.string().min(1).optional(),
  maxBodyMib: positive,
  httpHealthcheckListenAddr: address,
  httpMetricsListenAddr: address.optional(),
  aclWhitelistUrl: z
    .string()
    .regex(/^https?:\/\//, "a URL that begins with http:// or https:// is wanted")
    .optional(),
  acl: z.enum(["auto", "on", "off"]),
  corsOrigins: list.refine((origins) => origins.every((origin) => ORIGIN.test(origin)), {
    message: "origins as browsers write them are wanted: https://app.example,http://10.0.0.2:3000",
  }),
  allowedHosts: list.transform((hosts) => hosts.map((host) => host.toLowerCase())),
  accessTokenFile: z.string().min(1).optional(),
  allowOpenRpc: flag,
  keepDays: z.coerce.number().min(0).optional(),
  maxDiskGb: z.coerce.number().min(0).optional(),
  rpcRateLimit: z.coerce.number().min(0).optional(),
});

/** All options of a node, validated and frozen. */
export type NodeOptions = Readonly<z.output<typeof schema>>;
/** The same as it may be given: what is left out comes from the defaults. */
export type NodeOptionsInput = Partial<z.input<typeof schema>>;

/**
 * Joins options from the command line, the environment and the defaults, in this order, and validates them.
 * Throws `OPTION_INVALID`.
 */
export function parseNodeOptions(
  given: Record<string, unknown>,
  env: Record<string, string | undefined>,
): NodeOptions {
  const values: Record<string, unknown> = {};
  for (const { flag, variable, default: fallback } of NODE_OPTIONS) {
    const fromEnv = env[variable] === "" ? undefined : env[variable];
    values[camel(flag)] = given[camel(flag)] ?? fromEnv ?? fallback;
  }
  values.logLevel ??= plainLevel(env.RUST_LOG);
  const parsed = schema.safeParse(values);
  if (parsed.success) return Object.freeze(parsed.data);
  const issue = parsed.error.issues[0];
  const name = String(issue?.path[0]);
  const known = NODE_OPTIONS.find(({ flag }) => camel(flag) === name);
  throw new GevulotError(
    "OPTION_INVALID",
    `--${known?.flag} (or ${known?.variable}): ${issue?.message}. See gevulot-node run --help.`,
    { context: { option: known?.flag ?? name } },
  );
}

/** RUST_LOG may hold filters per module; only a level alone is understood. */
function plainLevel(rustLog: string | undefined): string | undefined {
  const level = rustLog?.toLowerCase();
  return level !== undefined && /^(trace|debug|info|warn|error)$/.test(level) ? level : undefined;
}

function camel(flag: string): string {
  return flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
