import { isVsockOnly } from "../vsockOnly.ts";
import { readNanosInfo } from "./nanosInfo.ts";
import { type NanosFile, openNanos } from "./openNanos.ts";
import { readTfsFile } from "./readTfsFile.ts";
import type { TfsEntry } from "./tfsTree.ts";

/** All of it is read before its task begins. */
const MAX_PROGRAM_BYTES = 2 * 2 ** 30;

/** Whether the program of a Nanos image takes its task over VSOCK alone; see {@link isVsockOnly}. */
export async function isNanosVsockOnly(imagePath: string, signal?: AbortSignal): Promise<boolean> {
  const { program: path } = await readNanosInfo(imagePath);
  if (path === null) return false;
  await using image = await openNanos(imagePath, path.split("/").filter(Boolean));
  const program = image.root.entries.find((entry) => entry.path === path);
  if (program?.kind !== "file" || program.sizeBytes > MAX_PROGRAM_BYTES) return false;
  return await isVsockOnly(piecesOf(image, program, signal));
}

async function* piecesOf(
  image: NanosFile,
  program: Extract<TfsEntry, { kind: "file" }>,
  signal: AbortSignal | undefined,
) {
  for await (const piece of readTfsFile(image.handle, image.root.region, program, signal)) {
    // The names hold no zeros.
    yield "data" in piece ? piece.data : Buffer.alloc(0);
  }
}
