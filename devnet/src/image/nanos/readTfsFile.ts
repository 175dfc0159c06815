import type { FileHandle } from "node:fs/promises";
import type { Region } from "./readTfs.ts";
import { tfsInvalid } from "./tfsInvalid.ts";
import type { TfsEntry } from "./tfsTree.ts";

/** Data of a file, or a stretch of zeros that is stored nowhere. */
export type FilePiece = { readonly data: Buffer } | { readonly zeros: number };

const CHUNK_BYTES = 2 ** 20;

/** A file's content, from its beginning; memory does not grow with it. A piece's data hold until the next is asked for. */
export async function* readTfsFile(
  file: FileHandle,
  region: Region,
  entry: Extract<TfsEntry, { kind: "file" }>,
  signal?: AbortSignal,
): AsyncGenerator<FilePiece, void> {
  const buffer = Buffer.alloc(Math.min(CHUNK_BYTES, entry.sizeBytes));
  let at = 0;
  for (const extent of entry.extents) {
    if (extent.at > at) yield { zeros: extent.at - at };
    for (let done = 0; done < extent.data.length; ) {
      signal?.throwIfAborted();
      const wanted = Math.min(buffer.length, extent.data.length - done);
      const position = region.offset + extent.data.offset + done;
      const { bytesRead } = await file.read(buffer, 0, wanted, position);
      if (bytesRead === 0) throw tfsInvalid(`${entry.path} is cut off`);
      yield { data: buffer.subarray(0, bytesRead) };
      done += bytesRead;
    }
    at = extent.at + extent.data.length;
  }
  if (entry.sizeBytes > at) yield { zeros: entry.sizeBytes - at };
}
