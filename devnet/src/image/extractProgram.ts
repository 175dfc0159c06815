import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { cachedFolder } from "./cachedFolder.ts";
import type { ImageProgram } from "./descriptor.ts";
import { imageInvalid } from "./descriptor.ts";
import { isNanos } from "./nanos/openNanos.ts";
import { checkRoot, readImage } from "./readImage.ts";
import { FILE_LIST } from "./rootTree.ts";
import { unpackSquashfs } from "./squashfs.ts";

export interface ExtractProgramOptions {
  readonly imagePath: string;
  readonly cacheDir: string;
  readonly signal?: AbortSignal;
}

export interface ExtractedProgram {
  /** Stands for the image's `/`: the program expects it as its current folder. Shared: read only. */
  readonly dir: string;
  /** The program's file. */
  readonly program: string;
  readonly args: readonly string[];
  /** The manifest's; nothing of the host's. */
  readonly env: Readonly<Record<string, string>>;
  readonly kind: ImageProgram["kind"];
  readonly volumes: ImageProgram["volumes"];
  /** Its first working folder, in the image. */
  readonly cwd: ImageProgram["cwd"];
  readonly exec: ImageProgram["exec"];
}

const MAX_LIST_BYTES = 32 * 2 ** 20;

/**
 * Takes a program and its files out of an image, to run it as a host process: not Node.js, not the libraries. Once
 * for an image, however many ask.
 *
 * @throws GevulotError `IMAGE_INVALID`, `TOOL_NOT_FOUND`
 */
export async function extractProgram(options: ExtractProgramOptions): Promise<ExtractedProgram> {
  const { imagePath, cacheDir, signal } = options;
  if (await isNanos(imagePath)) {
    throw imageInvalid(
      imagePath,
      "it is for Nanos, which runs in a virtual machine alone: take the provider qemu",
    );
  }
  const info = await readImage(imagePath);
  if (info.program.ownSystem) {
    throw imageInvalid(
      imagePath,
      "it is made of a container, whose system runs in a virtual machine alone: take the provider qemu",
    );
  }
  const sha256 = await checkRoot(imagePath, info.root, signal);
  const folder = await cachedFolder(join(cacheDir, "program", sha256), async (temporary) => {
    const unpack = (output: string, paths: readonly string[]) =>
      unpackSquashfs(imagePath, { offset: info.root.offset, paths, output, ...(signal ? { signal } : {}) });
    const listFolder = join(temporary, "list");
    await unpack(listFolder, [FILE_LIST.slice(1)]);
    const list = await readFile(join(listFolder, FILE_LIST));
    if (list.length > MAX_LIST_BYTES) throw imageInvalid(imagePath, "its list of files is too long");
    await unpack(join(temporary, "root"), list.toString().split("\n").filter(Boolean));
    await rm(listFolder, { recursive: true });
  });
  const dir = join(folder, "root");
  const { args, env, kind, path, volumes, cwd, exec } = info.program;
  return { dir, program: join(dir, path), args, env, kind, volumes, cwd, exec };
}
