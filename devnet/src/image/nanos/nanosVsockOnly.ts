import { isVsockOnly } from "../vsockOnly.ts";
import { type NanosFile, openNanos } from "./openNanos.ts";
import { readTfsFile } from "./readTfsFile.ts";
import type { TfsEntry } from "./tfsTree.ts";

/** Whether the program of a Nanos image takes its task over VSOCK alone; see {@link isVsockOnly}. */
export async function isNanosVsockOnly(imagePath: string): Promise<boolean> {
  await using image = await openNanos(imagePath);
  const path = image.root.root.get("program");
  const program = image.root.entries.find((entry) => entry.path === path);
  return program?.kind === "file" && (await isVsockOnly(piecesOf(image, program)));
}

async function* piecesOf(image: NanosFile, program: Extract<TfsEntry, { kind: "file" }>) {
  for await (const piece of readTfsFile(image.handle, image.root.region, program)) {
    // The names hold no zeros.
    yield "data" in piece ? piece.data : Buffer.alloc(0);
  }
}
