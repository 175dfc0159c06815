import { createReadStream } from "node:fs";
import { mkdir, realpath } from "node:fs/promises";
import { basename } from "node:path";
import { readContainerProgram } from "./container/containerProgram.ts";
import type { ImageProgram } from "./descriptor.ts";
import { findLibraries, type Library } from "./elfLibraries.ts";
import { refuseHidden } from "./hiddenPlaces.ts";
import { listKoffi } from "./koffiLibrary.ts";
import { libraryPlaces } from "./libraryPlaces.ts";
import type { Manifest } from "./manifest.ts";
import type { ProgramFile } from "./programFiles.ts";
import { placeInImage, resolveProgram } from "./programRequest.ts";
import { type NodeFacts, readNode } from "./readNode.ts";
import { readProgram, unusable } from "./readProgram.ts";
import { resolveInRoot } from "./rootedPath.ts";
import { NODE_PATH } from "./rootTree.ts";
import { isVsockOnly } from "./vsockOnly.ts";

/** A program, and all that it runs on but the kernel. */
export interface ProgramSource extends Pick<ImageProgram, "kind" | "path" | "args" | "env" | "cwd"> {
  /** Missing where the program is in the root folder already. */
  readonly data?: Uint8Array;
  readonly runtime: readonly Library[];
  readonly node?: NodeFacts;
  /** Its file says that it takes its task over VSOCK alone. */
  readonly needsVsock: boolean;
  readonly notes: readonly string[];
}

export interface ProgramSourceOptions {
  readonly program?: string | URL | undefined;
  readonly fromContainer?: string | undefined;
  readonly manifest: Manifest;
  readonly workingDir: string;
  /** Of the manifest. */
  readonly files: readonly ProgramFile[];
  readonly libraryPath?: string | undefined;
  readonly nodePath: string;
  readonly scratchDir: string;
  /** The image's root; made here. */
  readonly rootDir: string;
  readonly onProgress?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws GevulotError those of `buildImage` that are about its program */
export async function readProgramSource(options: ProgramSourceOptions): Promise<ProgramSource> {
  const { program, fromContainer: container, manifest, rootDir, onProgress } = options;
  if (container !== undefined) {
    if (program !== undefined) {
      throw unusable(
        String(program),
        "a container brings its own; name a file of it in the manifest's Program",
      );
    }
    onProgress?.(`reading the container ${container}`);
    const found = await readContainerProgram({ ...options, container, outputDir: rootDir });
    await refuseHidden({ ...found, libraries: [] }, manifest, rootDir);
    const { source } = (await resolveInRoot(rootDir, found.path)) ?? { source: "" };
    const needsVsock = await isVsockOnly(createReadStream(source));
    return { kind: "elf", runtime: [], needsVsock, ...found };
  }
  const path = resolveProgram(program, manifest, options.workingDir);
  await mkdir(rootDir);
  onProgress?.(`reading ${basename(path)}`);
  const { kind, data } = await readProgram(path);
  const place = placeInImage(path, kind, manifest, options.workingDir);
  const runtime = await listRuntime(kind, path, options);
  const libraries = runtime.map((library) => library.path);
  await refuseHidden({ path: place, cwd: manifest.cwd, libraries }, manifest, rootDir);
  const node = kind === "js" ? await readNode(options.nodePath, options.signal) : undefined;
  return {
    kind,
    data,
    path: place,
    args: manifest.args,
    env: manifest.env,
    cwd: manifest.cwd,
    runtime,
    notes: [],
    needsVsock: await isVsockOnly([data]),
    ...(node ? { node } : {}),
  };
}

async function listRuntime(
  kind: ImageProgram["kind"],
  programPath: string,
  given: ProgramSourceOptions,
): Promise<Library[]> {
  const { nodePath, manifest, files, signal } = given;
  const options = signal ? { signal } : {};
  if (kind === "elf")
    return findLibraries(programPath, { ...options, ...libraryPlaces(manifest, files, given) });
  const node: Library = { path: NODE_PATH, source: await realpath(nodePath) };
  const all = [node, ...(await findLibraries(nodePath, options)), ...(await listKoffi(options))];
  return [...new Map(all.map((library) => [library.path, library])).values()];
}
