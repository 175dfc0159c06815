import { join, resolve } from "node:path";
import type { FindLibrariesOptions } from "./elfLibraries.ts";
import type { Manifest } from "./manifest.ts";
import type { ProgramFile } from "./programFiles.ts";

/** Absolute folders of an LD_LIBRARY_PATH: what a relative one means depends on where a program starts. */
export function splitLibraryPath(path: string | undefined): string[] {
  return (path ?? "").split(/[:;]/).filter((folder) => folder.startsWith("/"));
}

/** Where the libraries of a manifest's program are: in its files, on its LD_LIBRARY_PATH, and on that of whoever builds it. */
export function libraryPlaces(
  { env, targetRoot }: Pick<Manifest, "env" | "targetRoot">,
  files: readonly ProgramFile[],
  { workingDir, libraryPath }: { readonly workingDir: string; readonly libraryPath?: string | undefined },
): FindLibrariesOptions {
  const imagePath = splitLibraryPath(env.LD_LIBRARY_PATH);
  const beside = imagePath.map((folder) => join(workingDir, folder));
  return {
    root: targetRoot,
    imagePath,
    hostPath: resolve(targetRoot ?? "/") === "/" ? [...beside, ...splitLibraryPath(libraryPath)] : [],
    provided: new Map(
      files.filter(({ kind }) => kind !== "directory").map(({ path, source }) => [path, source]),
    ),
  };
}
