import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { checksumFile } from "gevulot-sdk/node";
import { requireFileTarget } from "../requireFileTarget.ts";
import type { ImageInfo, ImageProgram } from "./descriptor.ts";
import { ensureGuestKernel, type GuestKernel } from "./ensureGuestKernel.ts";
import { type ExecProgram, readExecProgram } from "./execProgram.ts";
import { createInitrd } from "./initrd.ts";
import { loadKernelModules } from "./kernelModules.ts";
import { type Manifest, parseManifest, requireShellNames } from "./manifest.ts";
import { linuxNotes } from "./manifestNotes.ts";
import { listProgramFiles } from "./programFiles.ts";
import { type ProgramRequest, withOverrides } from "./programRequest.ts";
import { type ProgramSource, readProgramSource } from "./programSource.ts";
import { writeRootTree } from "./rootTree.ts";
import { makeSquashfs } from "./squashfs.ts";
import { writeDisk } from "./writeDisk.ts";

export interface BuildImageOptions extends ProgramRequest {
  /** A JavaScript or TypeScript file, or an x86-64 Linux program. The manifest's Program overrides it. */
  readonly program?: string | URL | undefined;
  /**
   * Instead of a program: a `docker save` archive, an OCI layout, or the name of an image of podman or docker. It starts
   * what the manifest's Program names in it, else its own Entrypoint and Cmd.
   */
  readonly fromContainer?: string | undefined;
  readonly outputPath: string;
  /** Folder under which Program and Files of the manifest are looked up. Default: the current folder. */
  readonly workingDir?: string;
  /** The program knows nothing of tasks; see {@link ExecProgram}. Instead of the manifest's Exec. */
  readonly exec?: {
    readonly proofFile?: string | undefined;
    readonly outputs?: readonly string[] | undefined;
  };
  /** Instead of the manifest's TargetRoot. */
  readonly targetRoot?: string | undefined;
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
 * @throws GevulotError `PROGRAM_UNUSABLE`, `CONTAINER_INVALID`, `MANIFEST_INVALID`, `MANIFEST_FILE`, `BUNDLE_FAILED`, `LIBRARY_NOT_FOUND`,
 * `GUEST_KERNEL_NOT_FOUND`, `TOOL_NOT_FOUND`, `BUSYBOX_NOT_FOUND` and others; each says what to do.
 */
export async function buildImage(options: BuildImageOptions): Promise<BuiltImage> {
  const { signal, onProgress } = options;
  const workingDir = resolve(options.workingDir ?? ".");
  const manifest = manifestOf(options);
  const exec = options.exec ? readExecProgram(options.exec, manifest.workspace) : manifest.exec;
  const { resources, deadlineSeconds } = manifest.runConfig;
  const { warnings, notes } = linuxNotes(manifest);
  const { files, notes: fileNotes } = await listProgramFiles(manifest, workingDir);
  const outputPath = resolve(options.outputPath);
  await requireFileTarget(outputPath);
  await mkdir(dirname(outputPath), { recursive: true });
  const scratch = await mkdtemp(`${outputPath}.tmp-`);
  try {
    const tree = join(scratch, "root");
    const source = await readProgramSource({
      ...options,
      manifest,
      workingDir,
      files,
      nodePath: options.nodePath ?? process.execPath,
      scratchDir: scratch,
      rootDir: tree,
    });
    const kernel = await ensureGuestKernel({
      cacheDir: options.cacheDir ?? join(homedir(), ".cache", "gevulot"),
      kernelPath: options.kernelPath,
      modulesDir: options.modulesDir,
      ...(onProgress ? { onProgress } : {}),
      ...(signal ? { signal } : {}),
    });
    onProgress?.("packing the root file system");
    const { data: programData, runtime, node } = source;
    const program = describeProgram(source, manifest, exec);
    await writeRootTree(tree, {
      ...{ program, programData, files, runtime },
      nodeFlags: node?.flags ?? [],
      kernelVersion: kernel.version,
    });
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
        ...(deadlineSeconds === undefined ? {} : { deadlineSeconds }),
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
      warnings,
      notes: [...notes, ...fileNotes, ...source.notes, ...(program.needsVsock ? [VSOCK_NOTE] : [])],
      files: files.map((file) => file.path),
      runtime: runtime.map((library) => library.path),
    };
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

function manifestOf(options: BuildImageOptions): Manifest {
  const written = parseManifest(withOverrides(options));
  requireShellNames(written.env);
  const { targetRoot } = options;
  return { ...written, ...(targetRoot === undefined ? {} : { targetRoot }) };
}

const VSOCK_NOTE =
  "The program takes its task over VSOCK alone, by the names in its file: a machine that has none refuses it.";

function describeProgram(
  { kind, path, args, env, cwd, needsVsock, data }: ProgramSource,
  manifest: Manifest,
  exec: ExecProgram | undefined,
): ImageProgram {
  const { workspace, readonlyRootfs, volumes } = manifest;
  return {
    kind,
    path,
    args,
    env,
    workspace,
    readonlyRootfs,
    ...(cwd === undefined ? {} : { cwd }),
    ...(exec ? { exec } : {}),
    ...(needsVsock && !exec ? { needsVsock } : {}),
    ...(data === undefined ? { ownSystem: true } : {}),
    ...(volumes.length > 0 ? { volumes } : {}),
  };
}

async function bootFiles(
  kernel: GuestKernel,
  signal?: AbortSignal,
): Promise<{ kernel: Buffer; initrd: Buffer }> {
  const modules = await loadKernelModules(kernel.modulesDir, signal);
  return { kernel: await readFile(kernel.kernelPath), initrd: await createInitrd(modules) };
}
