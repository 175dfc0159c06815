import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BuildImageOptions, buildImage } from "gevulot-devnet";

export interface ImageOptions {
  /** The example's folder, where `<name>.manifest.json` is. */
  readonly folder: URL;
  /** From `buildExample`: holds the program and the manifest's files. */
  readonly buildDir: string;
  readonly outputDir: string;
  /** Where the manifest does not say it: the program knows nothing of tasks. */
  readonly exec?: BuildImageOptions["exec"];
  readonly signal?: AbortSignal;
}

/** Makes the disk image of `<name>.manifest.json`: `<name>.img`. */
export async function imageOf(name: string, options: ImageOptions): Promise<string> {
  const { folder, buildDir, outputDir, exec, signal } = options;
  const manifest = JSON.parse(readFileSync(new URL(`${name}.manifest.json`, folder), "utf8"));
  const { path } = await buildImage({
    program: join(buildDir, manifest.Program),
    manifest,
    workingDir: buildDir,
    outputPath: join(outputDir, `${name}.img`),
    ...(exec === undefined ? {} : { exec }),
    ...(signal === undefined ? {} : { signal }),
  });
  return path;
}
