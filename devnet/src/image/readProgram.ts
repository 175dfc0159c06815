import { readFile } from "node:fs/promises";
import { extname } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { bundleProgram } from "./bundleProgram.ts";
import { isElf, parseElf } from "./elf.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PROGRAM_UNUSABLE: { readonly path: string; readonly reason: string };
  }
}

export interface ReadProgram {
  readonly kind: "js" | "elf";
  /** One ES module, or the file as it is. */
  readonly data: Uint8Array;
}

export const SCRIPTS: readonly string[] = [".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx"];

/**
 * Reads a program: JavaScript and TypeScript are bundled, an ELF file is taken as it is.
 *
 * @throws GevulotError `PROGRAM_UNUSABLE`, `BUNDLE_FAILED`, `ELF_INVALID`
 */
export async function readProgram(path: string): Promise<ReadProgram> {
  const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
    throw unusable(path, `it can't be read (${cause.code ?? cause.message})`);
  });
  if (SCRIPTS.includes(extname(path))) return { kind: "js", data: await bundleProgram(path) };
  if (isElf(bytes)) {
    parseElf(bytes, path);
    return { kind: "elf", data: bytes };
  }
  throw unusable(path, `it is neither an ELF program nor a file that ends in ${SCRIPTS.join(", ")}`);
}

export function unusable(path: string, reason: string): GevulotError {
  return new GevulotError("PROGRAM_UNUSABLE", `The program ${path} can't go into an image: ${reason}.`, {
    context: { path, reason },
  });
}
