import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    NODE_UNUSABLE: { readonly path: string };
  }
}

const TIMEOUT_MS = 20_000;

/**
 * Asks a Node.js for its version, e.g. `v20.19.0`.
 *
 * @throws GevulotError `NODE_UNUSABLE`
 */
export async function readNodeVersion(nodePath: string, signal?: AbortSignal): Promise<string> {
  if (nodePath === process.execPath) return process.version;
  const options = { timeout: TIMEOUT_MS, env: {}, ...(signal ? { signal } : {}) };
  const output = await promisify(execFile)(nodePath, ["--version"], options).catch((cause: unknown) => {
    signal?.throwIfAborted();
    throw unusable(nodePath, cause);
  });
  const version = /^v\d+\.\d+\.\d+/.exec(output.stdout)?.[0];
  if (version === undefined) throw unusable(nodePath);
  return version;
}

function unusable(path: string, cause?: unknown): GevulotError {
  const message = `${path} is no Node.js that runs here. Give the path of a node program for x86-64 Linux.`;
  return new GevulotError("NODE_UNUSABLE", message, {
    context: { path },
    ...(cause === undefined ? {} : { cause }),
  });
}
