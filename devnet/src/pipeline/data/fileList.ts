import type { Metadata } from "@grpc/grpc-js";
import { METADATA_FILES, METADATA_FILES_SHA256 } from "../wire/messages.ts";
import type { BlobStore } from "./blobStore.ts";

/** SHA-256 by path: the files that a request names, for a node without the stage's disk. */
export type FileList = Readonly<Record<string, string>>;

/** Headers that are too long don't fail their call alone: they end the connection, and all calls on it. */
const MAX_HEADER_BYTES = 4_096;

/** Says which files a call is about: in a header, or, where they are many, in data of which the header has the SHA-256. */
export async function setFileList(
  metadata: Metadata,
  files: FileList,
  blobs: Pick<BlobStore, "put">,
): Promise<void> {
  const sorted = Object.entries(files).sort(([left], [right]) => (left < right ? -1 : 1));
  const list = Buffer.from(JSON.stringify(Object.fromEntries(sorted)));
  if (list.length <= MAX_HEADER_BYTES) metadata.set(METADATA_FILES, list);
  else metadata.set(METADATA_FILES_SHA256, (await blobs.put(list)).hash);
}

/** @param read gives the stage's data with a SHA-256 */
export async function readFileList(
  metadata: Metadata,
  read: (hash: string) => Promise<Uint8Array>,
): Promise<FileList> {
  const list = metadata.get(METADATA_FILES)[0];
  const hash = metadata.get(METADATA_FILES_SHA256)[0];
  if (list === undefined && hash === undefined) return {};
  const bytes = list === undefined ? await read(String(hash)) : Buffer.from(list);
  return JSON.parse(new TextDecoder().decode(bytes)) as FileList;
}

/** The same for the same files, other for others. */
export function fileListKey(metadata: Metadata): string {
  return [METADATA_FILES, METADATA_FILES_SHA256].flatMap((name) => metadata.get(name).map(String)).join();
}
