import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { KOFFI_IN_IMAGE } from "gevulot-shim/wire";
import { findLibraries, type Library } from "./elfLibraries.ts";

/** For an x86-64 guest with the C library that the host's Node.js has nearly everywhere. */
const PACKAGE = "@koromix/koffi-linux-x64/package.json";
const FILE = join("linux_x64", "koffi.node");

/**
 * koffi's native part with its libraries, by which a bundled JavaScript program speaks VSOCK. Empty where it is not
 * installed (it is an optional dependency, and of this platform): the program then takes its task as a file.
 */
export async function listKoffi(options: { readonly signal?: AbortSignal }): Promise<Library[]> {
  const source = findKoffi();
  if (source === null) return [];
  return [{ path: KOFFI_IN_IMAGE, source }, ...(await findLibraries(source, options))];
}

function findKoffi(): string | null {
  try {
    const koffi = createRequire(createRequire(import.meta.url).resolve("koffi"));
    return join(dirname(koffi.resolve(PACKAGE)), FILE);
  } catch {
    return null;
  }
}
