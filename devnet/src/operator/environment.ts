import type { Passthrough } from "./passthrough.ts";
import type { QuadletOptions } from "./quadlet.ts";

/** Stands for the database's password until the operator puts one in. */
export const PASSWORD_PLACEHOLDER = "CHANGE_ME";
export const RPC_TOKEN_FILE = "rpc.token";

const RPC_PORT = 9944;
const P2P_PORT = 9999;
const HTTP_PORT = 9995;

/** The node's variables. The defaults listen on this machine alone; these are for a node that others reach. */
export function nodeEnvironment(options: QuadletOptions, { gpus }: Passthrough): string {
  const { advertise, discovery, whitelistUrl, dataDirectory } = options;
  return environmentFile([
    "Every option of `gevulot-node run --help` can be given here.",
    ["GEVULOT_DB_URL", `postgres://gevulot:${PASSWORD_PLACEHOLDER}@127.0.0.1/gevulot`],
    ["GEVULOT_DATA_DIRECTORY", dataDirectory],
    ["GEVULOT_LOG_DIRECTORY", `${dataDirectory}/log`],
    ["GEVULOT_NODE_KEY_FILE", `${dataDirectory}/node.key`],
    ["GEVULOT_VOLUMES_DIRECTORY", `${dataDirectory}/volumes`],
    "Who may call: those with the token. Without one only GEVULOT_ALLOW_OPEN_RPC=true opens it to all.",
    ["GEVULOT_JSON_RPC_LISTEN_ADDR", `0.0.0.0:${RPC_PORT}`],
    ["GEVULOT_ACCESS_TOKEN_FILE", `${dataDirectory}/${RPC_TOKEN_FILE}`],
    "Peers, and the files: on all addresses of this machine, told to others as the public one.",
    ["GEVULOT_P2P_LISTEN_ADDR", `0.0.0.0:${P2P_PORT}`],
    ["GEVULOT_P2P_ADVERTISED_LISTEN_ADDR", advertise],
    ["GEVULOT_HTTP_PORT", String(HTTP_PORT)],
    setOrShown("GEVULOT_P2P_DISCOVERY_ADDR", discovery.join(","), "host:9999,host:9999"),
    "The network's passphrase, if it has one of its own.",
    "GEVULOT_PSK_PASSPHRASE=",
    "Whose transactions are taken: one hex key a line.",
    setOrShown("GEVULOT_ACL_WHITELIST_URL", whitelistUrl ?? "", "https://example.com/keys.txt"),
    setOrShown("GEVULOT_GPU_DEVICES", gpus.join(","), "0000:01:00.0"),
    "For watching, on this machine.",
    ["GEVULOT_HEALTHCHECK_LISTEN_ADDR", "127.0.0.1:8888"],
    ["GEVULOT_METRICS_LISTEN_ADDR", "127.0.0.1:9898"],
    "Files of Runs that ended: none go unless one of these is set.",
    "GEVULOT_KEEP_DAYS=30",
    "GEVULOT_MAX_DISK_GB=500",
  ]);
}

export function postgresEnvironment(): string {
  return environmentFile([
    ["POSTGRES_USER", "gevulot"],
    ["POSTGRES_DB", "gevulot"],
    "The same as in GEVULOT_DB_URL; read when the database is made.",
    ["POSTGRES_PASSWORD", PASSWORD_PLACEHOLDER],
  ]);
}

type Line = readonly [name: string, value: string] | string;

function setOrShown(name: string, value: string, example: string): Line {
  return value === "" ? `${name}=${example}` : [name, value];
}

/** As podman reads it: no quotes, no variables. */
function environmentFile(lines: readonly Line[]): string {
  return lines.map((line) => (typeof line === "string" ? `# ${line}\n` : `${line[0]}=${line[1]}\n`)).join("");
}
