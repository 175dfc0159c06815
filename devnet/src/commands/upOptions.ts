import type { Options } from "yargs";

/** Where a project's devnet keeps its state, unless told. */
export const DEFAULT_STATE_DIR = ".gevulot/devnet";

export const commonOptions = {
  "state-dir": {
    type: "string",
    default: DEFAULT_STATE_DIR,
    requiresArg: true,
    describe: "Database, files and keys of this devnet",
  },
  json: { type: "boolean", default: false, describe: "One line of JSON instead of text" },
} as const satisfies Record<string, Options>;

export const upOptions = {
  ...commonOptions,
  nodes: { type: "number", default: 3, requiresArg: true, describe: "How many nodes" },
  execution: {
    choices: ["assigned", "all"],
    default: "assigned",
    requiresArg: true,
    describe: "Who works on a Run: the nodes that its hash assigns, or all nodes",
  },
  provers: { type: "number", requiresArg: true, describe: "Nodes that prove an assigned step; default 1" },
  verifiers: {
    type: "number",
    requiresArg: true,
    describe: "Nodes that verify an assigned Proof; default 3",
  },
  attempts: {
    type: "number",
    requiresArg: true,
    describe: "Nodes that are tried for an assigned result; default 3",
  },
  join: { type: "string", requiresArg: true, describe: "host:port of a node of another network, to join it" },
  passphrase: {
    type: "string",
    requiresArg: true,
    describe: "Passphrase of the network; default the public one's",
  },
  detach: { type: "boolean", default: false, describe: "Go on in the background; `down` stops it" },
  fresh: { type: "boolean", default: false, describe: "Begin without what an earlier devnet left here" },
  "no-execution": { type: "boolean", default: false, describe: "Keep transactions, run no tasks" },
  "allow-unmounted-images": {
    type: "boolean",
    default: false,
    describe: "Take Nanos images that mount no share of the node, whose programs find no task",
  },
  provider: {
    choices: ["auto", "qemu", "process"],
    default: "auto",
    requiresArg: true,
    describe: "What runs tasks: QEMU virtual machines, or host processes for quick tests",
  },
  "task-deadline-seconds": { type: "number", requiresArg: true, describe: "Longest time of one task" },
  "task-idle-seconds": {
    type: "number",
    requiresArg: true,
    describe: "A task that did nothing for so long is stopped; default never",
  },
  "volumes-directory": {
    type: "string",
    requiresArg: true,
    describe: "Folder of the volumes; default that of `volume`",
  },
  "mem-gb": { type: "number", requiresArg: true, describe: "GiB of memory for tasks" },
  "num-cpus": { type: "number", requiresArg: true, describe: "CPUs for tasks" },
} as const satisfies Record<string, Options>;
