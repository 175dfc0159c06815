import { existsSync } from "node:fs";
import type { Koffi } from "./vsockLibc.ts";

/**
 * Where the image builder puts koffi's native part: a program is bundled into one file, which can't hold it. With the
 * C library that Node.js in the image has.
 */
export const KOFFI_IN_IMAGE = "/usr/lib/gevulot/koffi.node";

/** Null outside of an image, and in an image without it. */
export function loadKoffi(path: string = KOFFI_IN_IMAGE): Koffi | null {
  if (!existsSync(path)) return null;
  const loaded = { exports: {} };
  process.dlopen(loaded, path);
  return loaded.exports as Koffi;
}
