import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, realpath, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { checksumFile } from "gevulot-sdk/node";
import type { ImageInfo, ImageProgram } from "./descriptor.ts";
import { findLibraries, type Library } from "./elfLibraries.ts";
import { ensureGuestKernel, type GuestKernel } from "./ensureGuestKernel.ts";
import { readExecProgram } from "./execProgram.ts";
import { createInitrd } from "./initrd.ts";
import { loadKernelModules } from "./kernelModules.ts";
import { listKoffi } from "./koffiLibrary.ts";
import { parseManifest } from "./manifest.ts";
import { linuxNotes } from "./manifestNotes.ts";
import { listProgramFiles } from "./programFiles.ts";
import { type ProgramRequest, placeInImage, resolveProgram, withOverrides } from "./programRequest.ts";
import { readNode } from "./readNode.ts";
import { readProgram } from "./readProgram.ts";
import { NODE_PATH, writeRootTree } from "./rootTree.ts";
import { makeSquashfs } from "./squashfs.ts";
import { writeDisk } from "./writeDisk.ts";

export interface BuildImageOptions extends ProgramRequest {
  /** A JavaScript or TypeScript file, or an x86-64 Linux program. The manifest's Program overrides it. */
  readonly program: string | URL;
  readonly outputPath: string;
  /** Folder under which Program and Files of the manifest are looked up. Default: the current folder. */
  readonly workingDir?: string;
  /** The program knows nothing of tasks; see {@link ExecProgram}. Instead of the manifest's Exec. */
  readonly exec?: {
    readonly proofFile?: string | undefined;
    readonly outputs?: readonly string[] | undefined;
  };
  /** For the kernel. Default `~/.cache/gevulot`. */
  readonly cacheDir?: string;
  /** The Node.js that goes into the image. Default: the one that runs this. */
  readonly nodePath?: string;
  readonly kernelPath?: string;
  readonly modulesDir?: string;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface BuiltImage extends ImageInfo {
  readonly path: string;
  /** BLAKE3 of the file, as a deployment names it. */
  readonly checksum: string;
  /** What was accepted and means nothing. */
  readonly warnings: readonly string[];
  /** Worth knowing; nothing is lost. */
  readonly notes: readonly string[];
  /** Paths in the image, the program and its runtime aside. */
  readonly files: readonly string[];
  /** Node.js and shared libraries. */
  readonly runtime: readonly string[];
}

/**
 * Makes one raw, bootable disk image of a program: Linux kernel, a small init, the program bundled, Node.js where it
 * needs it. Without root and loop devices; the same inputs make the same bytes. The image takes its name when it is
 * whole.
 *
 * @throws GevulotError `PROGRAM_UNUSABLE`, `MANIFEST_INVALID`, `MANIFEST_FILE`, `BUNDLE_FAILED`, `LIBRARY_NOT_FOUND`,
 * `GUEST_KERNEL_NOT_FOUND`, `TOOL_NOT_FOUND`, `BUSYBOX_NOT_FOUND` and others; each says what to do.
 */
export async function buildImage(options: BuildImageOptions): Promise<BuiltImage> {
  const { signal, onProgress } = options;
  const workingDir = resolve(options.workingDir ?? ".");
  const manifest = parseManifest(withOverrides(options));
  const exec = options.exec ? readExecProgram(options.exec) : manifest.exec;
  const { resources } = manifest.runConfig;
  const programPath = await resolveProgram(options.program, manifest, workingDir);
  const files = await listProgramFiles(manifest, workingDir);
  onProgress?.(`reading ${basename(programPath)}`);
  const { kind, data } = await readProgram(programPath);
  const nodePath = options.nodePath ?? process.execPath;
  const runtime = await listRuntime(kind, programPath, nodePath, signal);
  const kernel = await ensureGuestKernel({
    cacheDir: options.cacheDir ?? join(homedir(), ".cache", "gevulot"),
    kernelPath: options.kernelPath,
    modulesDir: options.modulesDir,
    ...(onProgress ? { onProgress } : {}),
    ...(signal ? { signal } : {}),
  });
  const node = kind === "js" ? await readNode(nodePath, signal) : undefined;
  const program: ImageProgram = {
    kind,
    path: placeInImage(programPath, kind, manifest, workingDir),
    args: manifest.args,
    env: manifest.env,
    workspace: manifest.workspace,
    readonlyRootfs: manifest.readonlyRootfs,
    ...(manifest.cwd === undefined ? {} : { cwd: manifest.cwd }),
    ...(exec ? { exec } : {}),
    ...(manifest.volumes.length > 0 ? { volumes: manifest.volumes } : {}),
  };

  const outputPath = resolve(options.outputPath);
  await mkdir(dirname(outputPath), { recursive: true });
  const scratch = await mkdtemp(`${outputPath}.tmp-`);
  try {
    onProgress?.("packing the root file system");
    const tree = join(scratch, "root");
    await mkdir(tree);
    await writeRootTree(tree, { program, programData: data, files, runtime, nodeFlags: node?.flags ?? [] });
    await makeSquashfs(tree, join(scratch, "root.squashfs"), signal);
    onProgress?.("writing the disk");
    const disk = join(scratch, `disk-${randomBytes(4).toString("hex")}`);
    const info = await writeDisk(
      disk,
      {
        ...(await bootFiles(kernel, signal)),
        rootPath: join(scratch, "root.squashfs"),
        program,
        ...(Object.keys(resources).length > 0 ? { resources } : {}),
        versions: { kernel: kernel.version, ...(node ? { node: node.version } : {}) },
      },
      signal,
    );
    const checksum = await checksumFile(disk, signal ? { signal } : {});
    await rename(disk, outputPath);
    return {
      ...info,
      path: outputPath,
      checksum,
      ...linuxNotes(manifest),
      files: files.map((file) => file.path),
      runtime: runtime.map((library) => library.path),
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function listRuntime(
  kind: ImageProgram["kind"],
  programPath: string,
  nodePath: string,
  signal?: AbortSignal,
): Promise<Library[]> {
  const options = signal ? { signal } : {};
  if (kind === "elf") return findLibraries(programPath, options);
  const node: Library = { path: NODE_PATH, source: await realpath(nodePath) };
  const all = [node, ...(await findLibraries(nodePath, options)), ...(await listKoffi(options))];
  return [...new Map(all.map((library) => [library.path, library])).values()];
}

async function bootFiles(
  kernel: GuestKernel,
  signal?: AbortSignal,
): Promise<{ kernel: Buffer; initrd: Buffer }> {
  const modules = await loadKernelModules(kernel.modulesDir, signal);
  return { kernel: await readFile(kernel.kernelPath), initrd: await createInitrd(modules) };
}
