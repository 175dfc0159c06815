import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ElfFile } from "./elf.ts";

/** A program may name any file as its loader: only these are started. */
const LOADERS = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1"];
const TIMEOUT_MS = 30_000;
const MAX_LIST_BYTES = 2 ** 20;

/**
 * Asks this machine's loader, once and not before it is needed, where it finds a program's libraries: it knows a cache and
 * the caller's LD_LIBRARY_PATH. It only lists them; nothing of the program is run.
 *
 * @param elf null where the program is not for this machine's root.
 */
export function createLoaderQuestion(
  program: string,
  elf: ElfFile | null,
  signal?: AbortSignal,
): (name: string) => Promise<string | undefined> {
  let answer: Promise<ReadonlyMap<string, string>> | undefined;
  const list = async (): Promise<ReadonlyMap<string, string>> => {
    const loader = elf?.interpreter ?? "";
    // A library that audits the loader would be run, and a program of fixed addresses would be mapped over the loader.
    if (!LOADERS.includes(loader) || elf?.hasAudit || elf?.kind !== "shared") return new Map();
    const options = {
      timeout: TIMEOUT_MS,
      maxBuffer: MAX_LIST_BYTES,
      killSignal: "SIGKILL",
      signal,
    } as const;
    // One that lacks makes it fail, and the others are there nevertheless.
    const { stdout } = await promisify(execFile)(loader, ["--list", program], options).catch(
      (error: { stdout?: string }) => {
        signal?.throwIfAborted();
        return { stdout: error.stdout ?? "" };
      },
    );
    return new Map(
      [...stdout.matchAll(/^\s+(\S+) => (\/\S+) \(0x/gm)].map(([, name = "", path = ""]) => [name, path]),
    );
  };
  return async (name) => {
    answer ??= list();
    return (await answer).get(name);
  };
}
