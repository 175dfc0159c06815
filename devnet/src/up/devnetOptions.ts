import type { InspectOptions } from "../vm/inspector.ts";

export interface DevnetOptions {
  /** How many nodes, 1 to 50. Default 1. */
  readonly nodes?: number;
  /** Who works on a Run: the nodes that its hash assigns, or all. Default `assigned`. */
  readonly mode?: "assigned" | "all";
  /** How many nodes prove, and verify, an assigned Run. Default 1 and 3. */
  readonly provers?: number;
  readonly verifiers?: number;
  /** How many nodes are tried for a result. Default 3. */
  readonly attempts?: number;
  /** `host:port` of a node of a network to join. */
  readonly join?: string;
  /** Of that network, where it has one of its own. */
  readonly passphrase?: string;
  /** What runs tasks. Default `auto`: QEMU, or an error that says how to install it. */
  readonly provider?: "auto" | "qemu" | "process";
  /** With `process`: a debugger can attach to programs of Node.js; its address is in the node's log. */
  readonly inspect?: InspectOptions | undefined;
  /** False: the node keeps transactions and runs nothing. Default true. */
  readonly execution?: boolean;
  /** Takes Nanos images that mount no share of the node, whose programs find no task. Default false. */
  readonly allowUnmountedImages?: boolean;
  /** Where database, files and keys are kept. Default: a temporary folder, removed at the end. */
  readonly stateDir?: string;
  /** Begin without the state that a `stateDir` holds. */
  readonly fresh?: boolean;
  /** True: 9944, 9995 and 9999 where they are free. Default false: any free ports. */
  readonly defaultPorts?: boolean;
  /** Of the first node; an error where one is taken. Default: those of last time, or any. */
  readonly ports?: { readonly rpc?: number; readonly http?: number; readonly p2p?: number };
  /** PostgreSQL's. Default any. */
  readonly postgresPort?: number;
  readonly taskDeadlineSeconds?: number;
  /** A task that did nothing for so long is stopped. Default: never. */
  readonly taskIdleSeconds?: number;
  /** What a task may leave in its workspace. Default 16 GiB, 100,000 files. */
  readonly maxOutputGb?: number;
  readonly maxOutputFiles?: number;
  /** Folder of the volumes that programs name. Default: that of `gevulot-devnet volume`. */
  readonly volumesDirectory?: string;
  readonly memGb?: number;
  readonly numCpus?: number;
  /** Serves a page that shows the network live, at any free port unless one is given. Default false. */
  readonly explorer?: boolean | { readonly port?: number | undefined };
  readonly maxBodyMib?: number;
  readonly logLevel?: "trace" | "debug" | "info" | "warn" | "error";
  /** What is left to chance in `faults` follows from it. Default 1. */
  readonly faultSeed?: number;
  /** For the start of each part. Default 60,000. */
  readonly startTimeoutMs?: number;
  /** Ends the start. */
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
  /** Each line that the node logs, a JSON object. */
  readonly onNodeLine?: (line: string) => void;
  /** A part ended without having been told to. */
  readonly onExit?: (reason: string) => void;
}

export const START_TIMEOUT_MS = 60_000;
export const MAX_NODES = 50;
