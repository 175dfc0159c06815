import { GET_TASK } from "gevulot-shim/wire";
import { openNanos } from "./openNanos.ts";
import { readTfsFile } from "./readTfsFile.ts";

/** In every program that calls the node's service (protocol section 8), whichever shim it is linked with. */
const SERVICE = Buffer.from(GET_TASK);
/** In every program that can take its task from a file (protocol section 9). */
const TASK_FILE = Buffer.from("task.json");
const KEPT_BYTES = Math.max(SERVICE.length, TASK_FILE.length) - 1;

/**
 * Whether the program of a Nanos image takes its task over VSOCK alone, by the names that stand in its file. False where
 * that can't be told: of a program whose shim is in a shared library.
 */
export async function isVsockOnly(imagePath: string): Promise<boolean> {
  await using image = await openNanos(imagePath);
  const path = image.root.root.get("program");
  const program = image.root.entries.find((entry) => entry.path === path);
  if (program?.kind !== "file") return false;
  let hasService = false;
  let tail = Buffer.alloc(0);
  for await (const piece of readTfsFile(image.handle, image.root.region, program)) {
    // The names hold no zeros.
    const seen = "data" in piece ? Buffer.concat([tail, piece.data]) : Buffer.alloc(0);
    if (seen.includes(TASK_FILE)) return false;
    hasService ||= seen.includes(SERVICE);
    tail = Buffer.from(seen.subarray(-KEPT_BYTES));
  }
  return hasService;
}
