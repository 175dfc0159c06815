import { homedir } from "node:os";
import { join } from "node:path";
import type { Options } from "yargs";
import { parseHostPort } from "../../hostPort.ts";
import { findProjectFolder, STATE_DIR } from "../../up/projectFolder.ts";
import { checkComposeNodes, composeOptions } from "./composeOptions.ts";

export const commonOptions = {
  "state-dir": {
    type: "string",
    default: join(findProjectFolder(process.cwd(), homedir()), STATE_DIR),
    defaultDescription: `${STATE_DIR} of the project`,
    requiresArg: true,
    describe: "Database, files and keys of this devnet",
  },
  json: { type: "boolean", default: false, describe: "One line of JSON instead of text" },
  quiet: { type: "boolean", default: false, alias: "q", describe: "Say nothing but errors" },
} as const satisfies Record<string, Options>;

const number = { type: "number", requiresArg: true } as const;

/** Without defaults, so that a configuration file's words are told from those of the command line. */
export const upOptions = {
  ...commonOptions,
  config: {
    type: "string",
    requiresArg: true,
    describe: "Configuration file; default gevulot.config.ts (or .js, .json) of the project",
  },
  nodes: { ...number, describe: "How many nodes; default 3" },
  execution: {
    choices: ["assigned", "all"],
    requiresArg: true,
    describe: "Who works on a Run: the nodes that its hash assigns (the default), or all nodes",
  },
  provers: { ...number, describe: "Nodes that prove an assigned step; default 1" },
  verifiers: { ...number, describe: "Nodes that verify an assigned Proof; default 3" },
  attempts: { ...number, describe: "Nodes that are tried for an assigned result; default 3" },
  join: { type: "string", requiresArg: true, describe: "host:port of a node of another network, to join it" },
  passphrase: {
    type: "string",
    requiresArg: true,
    describe: "Passphrase of the network; default the public one's",
  },
  detach: {
    type: "boolean",
    default: false,
    alias: "d",
    describe: "Go on in the background; `down` stops it",
  },
  fresh: { type: "boolean", default: false, describe: "Begin without what an earlier devnet left here" },
  "no-execution": { type: "boolean", describe: "Keep transactions, run no tasks" },
  "allow-unmounted-images": {
    type: "boolean",
    describe: "Take Nanos images that mount no share of the node, whose programs find no task",
  },
  provider: {
    choices: ["auto", "qemu", "process"],
    requiresArg: true,
    describe:
      "What runs tasks: QEMU virtual machines (auto, the default, and qemu), or host processes for quick tests",
  },
  inspect: {
    type: "string",
    describe:
      "With --provider process: Node.js's debugger can attach to programs; --inspect=PORT, default any port",
  },
  "inspect-brk": { type: "string", describe: "The same, and programs wait for it before their first line" },
  "task-deadline-seconds": { ...number, describe: "Longest time of one task" },
  "task-idle-seconds": {
    ...number,
    describe: "A task that did nothing for so long is stopped; default never",
  },
  "volumes-directory": {
    type: "string",
    requiresArg: true,
    describe: "Folder of the volumes; default that of `volume`",
  },
  "mem-gb": { ...number, describe: "GiB of memory for tasks" },
  "num-cpus": { ...number, describe: "CPUs for tasks" },
  "rpc-port": { ...number, describe: "JSON-RPC port of the first node; default 9944 if it is free" },
  "http-port": { ...number, describe: "File server's port of the first node; default 9995 if it is free" },
  "p2p-port": { ...number, describe: "Peers' port of the first node; default 9999 if it is free" },
  docker: {
    type: "boolean",
    default: false,
    describe:
      "In containers, by docker compose; takes --nodes, --provider, --fresh, --detach and the next three",
  },
  ...composeOptions,
  gateway: {
    type: "string",
    requiresArg: true,
    describe:
      "host:port where the nodes are reached from other machines, RPC and files of each on two ports from this one",
  },
  "gateway-token-file": {
    type: "string",
    requiresArg: true,
    describe: "File with the token that callers of --gateway need",
  },
  "allow-open-gateway": {
    type: "boolean",
    default: false,
    describe: "Whoever reaches the gateway may use the nodes",
  },
  "explorer-port": { ...number, describe: "Port of the explorer's page; default 9940 if it is free" },
  "no-explorer": { type: "boolean", default: false, describe: "Serve no page that shows the network" },
  "postgres-port": { ...number, describe: "PostgreSQL's port; default any" },
} as const satisfies Record<string, Options>;

const ABOVE_ZERO = ["task-deadline-seconds", "task-idle-seconds", "mem-gb", "num-cpus"];
const COUNTS = ["nodes", "provers", "verifiers", "attempts"];
const PORTS = ["rpc-port", "http-port", "p2p-port", "postgres-port", "explorer-port"];
const MAX_PORT = 65_535;

/** What `--docker` does something with; all others would be passed over. */
const IN_DOCKER = new Set([
  ...Object.keys(commonOptions),
  ...Object.keys(composeOptions),
  ...["docker", "nodes", "provider", "fresh", "detach"],
]);

/** For yargs: true, or what is wrong. */
export function checkUpOptions(args: Readonly<Record<string, unknown>>): true | string {
  const given = (names: readonly string[]) => names.filter((name) => args[name] !== undefined);
  if (args.docker) {
    const isGiven = (name: string) => args[name] !== undefined && args[name] !== false;
    const other = Object.keys(upOptions).find((name) => !IN_DOCKER.has(name) && isGiven(name));
    if (other !== undefined) return `--${other} does nothing with --docker. Leave one of the two out.`;
    return checkComposeNodes(args);
  }
  const isCount = (value: unknown) => Number.isInteger(value) && Number(value) > 0;
  for (const name of given(ABOVE_ZERO)) {
    if (!(Number(args[name]) > 0)) return `--${name} must be a number above 0.`;
  }
  for (const name of given(COUNTS)) {
    if (!isCount(args[name])) return `--${name} must be a whole number above 0.`;
  }
  for (const name of given(PORTS)) {
    const isPort = isCount(args[name]) && Number(args[name]) <= MAX_PORT;
    if (!isPort) return `--${name} must be a whole number from 1 to ${MAX_PORT}.`;
  }
  const debuggers = given(["inspect", "inspect-brk"]);
  for (const name of debuggers) {
    const isPort = /^\d{0,5}$/.test(String(args[name])) && Number(args[name]) <= MAX_PORT;
    if (!isPort) return `--${name} wants a port: --${name}=9229.`;
  }
  if (args.join !== undefined && !/.:\d{1,5}$/.test(String(args.join)))
    return "--join wants host:port, a node's address for peers.";
  if (args.gateway !== undefined && parseHostPort(String(args.gateway)) === null)
    return "--gateway wants host:port, such as 0.0.0.0:19000.";
  return true;
}
