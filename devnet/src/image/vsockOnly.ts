import { GET_TASK } from "gevulot-shim/wire";

/** In every program that calls the node's service (protocol section 8), whichever shim it is linked with. */
const SERVICE = Buffer.from(GET_TASK);
/** In every program that can take its task from a file (protocol section 9). */
const TASK_FILE = Buffer.from("task.json");
const KEPT_BYTES = Math.max(SERVICE.length, TASK_FILE.length) - 1;

/**
 * Whether a program takes its task over VSOCK alone, by the names that stand in its file. False where that can't be told:
 * of a program whose shim is in a shared library.
 *
 * @param pieces of the file, in order; what is left out between them is cut off by an empty one
 */
export async function isVsockOnly(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<boolean> {
  let hasService = false;
  let tail = Buffer.alloc(0);
  for await (const piece of pieces) {
    const seen = piece.length === 0 ? Buffer.alloc(0) : Buffer.concat([tail, piece]);
    if (seen.includes(TASK_FILE)) return false;
    hasService ||= seen.includes(SERVICE);
    tail = Buffer.from(seen.subarray(-KEPT_BYTES));
  }
  return hasService;
}
