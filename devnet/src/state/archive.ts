import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat, statfs } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createGunzip, createGzip } from "node:zlib";
import { GevulotError } from "gevulot-sdk";
import { checksumFile } from "gevulot-sdk/node";
import { type Pack, pack } from "tar-stream";
import { readTar, type TarEntry, TarProblem } from "../image/container/tar.ts";
import { requireFileTarget } from "../requireFileTarget.ts";
import {
  BLOBS_FOLDER,
  MANIFEST_FILE,
  parseManifest,
  readManifest,
  type StateManifest,
  stateInvalid,
} from "./stateManifest.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STATE_FILE_EXISTS: { file: string };
    STATE_FILE_MISSING: { file: string };
  }
}

/** Images are mostly holes, which the quickest level finds as well. */
const GZIP_LEVEL = 1;
const MAX_MANIFEST_BYTES = 64 * 2 ** 20;
const ENTRY_MODE = 0o600;

/**
 * Packs the state in a folder into one file: gzip of a tar, the manifest first. The file appears whole or not at all.
 * @throws GevulotError `STATE_FILE_EXISTS`, `OUTPUT_NOT_A_FILE`
 */
export async function packState(
  dir: string,
  file: string,
  options: { readonly force: boolean },
): Promise<void> {
  await requireFileTarget(file);
  const isThere = await stat(file).then(
    () => true,
    () => false,
  );
  if (isThere && !options.force) {
    throw new GevulotError("STATE_FILE_EXISTS", `${file} is there already. Give another name, or --force.`, {
      context: { file },
    });
  }
  const manifest = await readManifest(dir, file);
  const making = `${file}.${process.pid}.new`;
  try {
    const tar = pack();
    await Promise.all([
      pipeline(tar, createGzip({ level: GZIP_LEVEL }), createWriteStream(making, { mode: ENTRY_MODE })),
      addEntries(tar, dir, manifest).catch((error: Error) => void tar.destroy(error)),
    ]);
    await rename(making, file);
  } finally {
    await rm(making, { force: true });
  }
}

async function addEntries(tar: Pack, dir: string, manifest: StateManifest): Promise<void> {
  const add = async (name: string): Promise<void> => {
    const path = join(dir, name);
    const { size } = await stat(path);
    await pipeline(createReadStream(path), tar.entry({ name, size, mode: ENTRY_MODE }));
  };
  await add(MANIFEST_FILE);
  for (const { hash } of manifest.blobs) await add(`${BLOBS_FOLDER}/${hash}`);
  tar.finalize();
}

/**
 * Unpacks an archive into a new folder, and checks every content of it.
 * @throws GevulotError `STATE_INVALID`, `STATE_TOO_NEW`, `STATE_FILE_MISSING`
 */
export async function unpackState(file: string, dir: string): Promise<StateManifest> {
  const source = createReadStream(file);
  const gunzip = createGunzip();
  const bytes = pipeline(source, gunzip);
  bytes.catch(() => {});
  try {
    return await takeEntries(readTar(gunzip as AsyncIterable<Buffer>), file, dir);
  } catch (error) {
    throw describe(error, file);
  } finally {
    source.destroy();
    gunzip.destroy();
  }
}

async function takeEntries(
  entries: AsyncIterable<TarEntry>,
  file: string,
  dir: string,
): Promise<StateManifest> {
  let manifest: StateManifest | null = null;
  const missing = new Map<string, number>();
  for await (const entry of entries) {
    if (manifest === null) {
      manifest = await takeManifest(entry, file, dir);
      await requireRoom(dir, manifest);
      for (const { hash, bytes } of manifest.blobs) missing.set(`${BLOBS_FOLDER}/${hash}`, bytes);
      continue;
    }
    // Later versions may have more in it.
    const bytes = missing.get(entry.path);
    if (bytes === undefined || entry.kind !== "file") continue;
    if (entry.sizeBytes !== bytes)
      throw stateInvalid(file, `${entry.path} has another size than its manifest says`);
    await takeBlob(entry, file, dir);
    missing.delete(entry.path);
  }
  if (manifest === null) throw stateInvalid(file, "it is empty");
  const [lost] = missing.keys();
  if (lost !== undefined) throw stateInvalid(file, `${lost} is missing`);
  return manifest;
}

async function takeManifest(entry: TarEntry, file: string, dir: string): Promise<StateManifest> {
  if (entry.path !== MANIFEST_FILE || entry.kind !== "file" || entry.sizeBytes > MAX_MANIFEST_BYTES) {
    throw stateInvalid(file, "it does not begin with a manifest");
  }
  const parts: Buffer[] = [];
  for await (const part of entry.body) parts.push(part);
  const text = Buffer.concat(parts).toString("utf8");
  const manifest = parseManifest(text, file);
  await mkdir(join(dir, BLOBS_FOLDER), { recursive: true, mode: 0o700 });
  await pipeline(Readable.from([text]), createWriteStream(join(dir, MANIFEST_FILE), { mode: ENTRY_MODE }));
  return manifest;
}

/** Before the disk is full, also of what was packed to fill it. Throws as the system does then. */
async function requireRoom(dir: string, { blobs }: StateManifest): Promise<void> {
  const wanted = blobs.reduce((sum, { bytes }) => sum + bytes, 0);
  const { bavail, bsize } = await statfs(dir);
  if (wanted <= bavail * bsize) return;
  throw Object.assign(new Error(`${wanted} bytes are wanted in ${dir}`), { code: "ENOSPC" });
}

async function takeBlob(entry: TarEntry, file: string, dir: string): Promise<void> {
  const path = join(dir, entry.path);
  await mkdir(dirname(path), { recursive: true });
  await pipeline(entry.body, createWriteStream(path, { mode: ENTRY_MODE }));
  if (entry.path !== `${BLOBS_FOLDER}/${await checksumFile(path)}`) {
    throw stateInvalid(file, `the content of ${entry.path} is not what it was`);
  }
}

function describe(error: unknown, file: string): unknown {
  const { code = "", message } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "EISDIR" || code === "EACCES") {
    return new GevulotError("STATE_FILE_MISSING", `${file} can't be read (${message}). Check the path.`, {
      context: { file },
      cause: error,
    });
  }
  if (code === "Z_BUF_ERROR") return stateInvalid(file, "it is cut off", error);
  if (error instanceof TarProblem || code.startsWith("Z_")) return stateInvalid(file, message, error);
  return error;
}
