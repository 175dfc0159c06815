import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildImage } from "gevulot-devnet";

export interface ImageOptions {
  /** The example's folder, where `<name>.manifest.json` is. */
  readonly folder: URL;
  /** From `buildExample`: holds the program and the manifest's files. */
  readonly buildDir: string;
  readonly outputDir: string;
  readonly signal?: AbortSignal;
}

/** Makes the disk image of `<name>.manifest.json`: `<name>.img`. */
export async function imageOf(name: string, options: ImageOptions): Promise<string> {
  const { folder, buildDir, outputDir, signal } = options;
  const manifest = JSON.parse(readFileSync(new URL(`${name}.manifest.json`, folder), "utf8"));
  const { path } = await buildImage({
    program: join(buildDir, manifest.Program),
    manifest,
    workingDir: buildDir,
    outputPath: join(outputDir, `${name}.img`),
    ...(signal === undefined ? {} : { signal }),
  });
  return path;
}
