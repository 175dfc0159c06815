import { statSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

/** What TypeScript notes when it has built something: in a checkout, not in the published package. */
const BUILDS = [
  "../dist/tsbuildinfo",
  "../../sdk/dist/core.tsbuildinfo",
  "../../sdk/dist/node.tsbuildinfo",
  "../../shim/dist/tsbuildinfo",
];

/** The bundle of a command, which starts several times as quickly; not one that is older than what it was made of. */
export function pickEntry(built, bundled) {
  // From Node.js 22 on: what was compiled once is kept.
  module.enableCompileCache?.(join(homedir(), ".cache", "gevulot", "compiled"));
  const madeMs = timeOf(bundled);
  return madeMs > 0 && BUILDS.every((note) => timeOf(note) <= madeMs) ? bundled : built;
}

function timeOf(path) {
  return statSync(new URL(path, import.meta.url), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
