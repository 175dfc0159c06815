import { createRequire } from "node:module";
import type { Koffi } from "gevulot-shim/wire";

/**
 * Calls of the system that Node.js lacks. An optional dependency, and loaded only where it is of use.
 *
 * @throws where it is not installed
 */
export function requireKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)("koffi") as Koffi;
  } catch (cause) {
    throw new Error("the package koffi is not installed", { cause });
  }
}
