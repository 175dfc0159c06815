import type { ImageCheck } from "../verifyImage.ts";
import { nanosInfo, nodeMountProblem } from "./nanosInfo.ts";
import { type NanosFile, type OpenTfs, openNanos, withPath } from "./openNanos.ts";
import { readTfsFile } from "./readTfsFile.ts";

/** The check that a node's share is mounted. */
export const MOUNTS = "mounts";
/** What is read of an ELF file to see that it is one. */
const HEADER_BYTES = 64;

/**
 * Reads all of a Nanos disk and checks each part. Its files have no checksums: that a byte of one was changed can't be
 * seen.
 *
 * @throws GevulotError `IMAGE_INVALID` where the root file system can't be read, without which nothing can be checked.
 */
export async function verifyNanos(path: string, signal?: AbortSignal): Promise<ImageCheck[]> {
  await using file = await openNanos(path);
  const info = nanosInfo(file.root, file.sizeBytes);
  const { entries } = file.root;
  const bytes = entries.reduce((sum, entry) => sum + (entry.kind === "file" ? entry.sizeBytes : 0), 0);
  const root: ImageCheck = {
    part: "root",
    found: `${entries.length} files, folders and links with ${bytes} bytes`,
    problem: await readThrough(file, signal),
  };
  if (file.layout.boot === null) return [{ ...root, part: "volume" }];
  return [
    await bootCheck(file),
    root,
    { part: "program", found: info.program ?? "none", problem: await programProblem(file, info.program) },
    {
      part: MOUNTS,
      found: Object.entries(info.mounts)
        .map(([id, place]) => `${id} at ${place}`)
        .join(", "),
      problem: nodeMountProblem(info),
    },
  ];
}

async function bootCheck(file: NanosFile): Promise<ImageCheck> {
  try {
    const boot = await file.boot();
    const files = boot?.entries.filter(({ kind }) => kind === "file").map(({ path }) => path) ?? [];
    const problem = files.includes("/kernel") ? null : "it has no kernel";
    return { part: "boot partition", found: files.join(" "), problem };
  } catch (error) {
    return { part: "boot partition", found: "", problem: (error as Error).message };
  }
}

async function readThrough(file: NanosFile, signal?: AbortSignal): Promise<string | null> {
  try {
    await withPath(file.path, async () => {
      for (const entry of file.root.entries) {
        if (entry.kind !== "file") continue;
        for await (const _ of readTfsFile(file.handle, file.root.region, entry, signal));
      }
    });
    return null;
  } catch (error) {
    if (signal?.aborted) throw error;
    return (error as Error).message;
  }
}

async function programProblem(file: NanosFile, program: string | null): Promise<string | null> {
  if (program === null) return "the image names none";
  const header = await firstBytes(file, file.root, program);
  if (header === null) return `${program} is not in it`;
  const isProgram = header.length === HEADER_BYTES && header.toString("latin1", 1, 4) === "ELF";
  return isProgram ? null : `${program} is no Linux program (ELF)`;
}

async function firstBytes(file: NanosFile, tfs: OpenTfs, path: string): Promise<Buffer | null> {
  const entry = tfs.entries.find((one) => one.path === path);
  if (entry?.kind !== "file") return null;
  for await (const piece of readTfsFile(file.handle, tfs.region, entry)) {
    return "data" in piece ? Buffer.from(piece.data.subarray(0, HEADER_BYTES)) : Buffer.alloc(HEADER_BYTES);
  }
  return Buffer.alloc(0);
}
