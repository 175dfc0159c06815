import { mkdir, stat, symlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { sha256File } from "../data/sha256File.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PIPELINE_KEY: { path: string };
  }
}

/** A proving or verifying key: a file or folder of this machine, content by its SHA-256, or a file that must have one. */
export type StepKey =
  | { readonly path: string; readonly sha256: string | null }
  | { readonly path: null; readonly sha256: string };

/** The keys that a configuration names, in its order. */
export interface StepKeys {
  /**
   * Puts them into a step's `in/` as `keys/0`, `keys/1`, …
   * @param placeContent puts content where it belongs, by its SHA-256
   */
  place(input: string, placeContent: (sha256: string, to: string) => Promise<void>): Promise<void>;
}

const BY_HASH = "sha256:";
const WITH_HASH = "#sha256=";
const HASH = /^[0-9a-f]{64}$/;

/** `path`, `path#sha256=<hex>` or `sha256:<hex>`; null for what is meant as one of these and isn't. */
export function parseKey(text: string): StepKey | null {
  const [path = "", hash] = text.startsWith(BY_HASH)
    ? ["", text.slice(BY_HASH.length)]
    : text.split(WITH_HASH);
  if (hash === undefined) return { path, sha256: null };
  if (!HASH.test(hash)) return null;
  return { path: path === "" ? null : path, sha256: hash } as StepKey;
}

/** Throws `PIPELINE_KEY` where a file is not there, or not the one that it must be. */
export async function createStepKeys(names: readonly string[]): Promise<StepKeys> {
  // The configuration has checked their form.
  const keys = names.map((name) => parseKey(name)!);
  for (const key of keys) await check(key);
  return {
    async place(input, placeContent) {
      for (const [index, { path, sha256 }] of keys.entries()) {
        const to = join(input, "keys", String(index));
        await mkdir(dirname(to), { recursive: true });
        // The machine's own file may be large.
        if (path !== null) await symlink(resolve(path), to);
        else await placeContent(sha256!, to);
      }
    },
  };
}

async function check({ path, sha256 }: StepKey): Promise<void> {
  if (path === null) return;
  const found = await stat(path).catch(() => null);
  if (!found)
    throw problem(path, `${path} of proving_key_paths is not there. Mend the path, or take it out.`);
  // The published samples name a folder.
  if (sha256 === null) return;
  if (!found.isFile())
    throw problem(
      path,
      `${path} of proving_key_paths has a SHA-256, and is not a file. Take the SHA-256 out.`,
    );
  const actual = await sha256File(path);
  if (actual === sha256) return;
  throw problem(
    path,
    `${path} has the SHA-256 ${actual} instead of ${sha256}. Get the right file, or mend proving_key_paths.`,
  );
}

function problem(path: string, message: string): GevulotError {
  return new GevulotError("PIPELINE_KEY", message, { context: { path } });
}
