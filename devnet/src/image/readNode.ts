import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    NODE_UNUSABLE: { readonly path: string };
  }
}

const TIMEOUT_MS = 20_000;

export interface NodeFacts {
  /** E.g. `v20.19.0`. */
  readonly version: string;
  /** Flags by which it starts faster, as far as it knows them. */
  readonly flags: readonly string[];
}

/** Without KVM the checksum over Node's own start-up snapshot takes 0.2 s; squashfs and the image are checked anyway. */
const QUICK_START = ["--no-verify-snapshot-checksum"];

/**
 * Asks a Node.js for its version and the flags it understands.
 *
 * @throws GevulotError `NODE_UNUSABLE`
 */
export async function readNode(nodePath: string, signal?: AbortSignal): Promise<NodeFacts> {
  const version = await ask(nodePath, [], signal);
  if (version === undefined) throw unusable(nodePath);
  const isQuick = (await ask(nodePath, QUICK_START, signal)) !== undefined;
  return { version, flags: isQuick ? QUICK_START : [] };
}

async function ask(
  nodePath: string,
  flags: readonly string[],
  signal?: AbortSignal,
): Promise<string | undefined> {
  const options = { timeout: TIMEOUT_MS, env: {}, ...(signal ? { signal } : {}) };
  const output = await promisify(execFile)(nodePath, [...flags, "--version"], options).catch(() => undefined);
  signal?.throwIfAborted();
  return /^v\d+\.\d+\.\d+/.exec(output?.stdout ?? "")?.[0];
}

function unusable(path: string): GevulotError {
  const message = `${path} is no Node.js that runs here. Give the path of a node program for x86-64 Linux.`;
  return new GevulotError("NODE_UNUSABLE", message, {
    context: { path },
  });
}
