import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildImage } from "gevulot-devnet";

export interface ImagesOptions {
  /** From {@link setupCircuit}: the manifests' files. */
  readonly circuitDir: string;
  readonly outputDir: string;
  readonly onProgress?: (step: string) => void;
  readonly signal?: AbortSignal;
}

/** Makes the two programs' disk images, prover.img and verifier.img. The same inputs make the same images. */
export async function buildImages(options: ImagesOptions): Promise<{ prover: string; verifier: string }> {
  return { prover: await build("prover", options), verifier: await build("verifier", options) };
}

async function build(
  name: string,
  { circuitDir, outputDir, onProgress, signal }: ImagesOptions,
): Promise<string> {
  const { path } = await buildImage({
    program: new URL(`./${name}.mjs`, import.meta.url),
    manifest: JSON.parse(readFileSync(new URL(`./${name}.manifest.json`, import.meta.url), "utf8")),
    workingDir: circuitDir,
    outputPath: join(outputDir, `${name}.img`),
    ...(onProgress === undefined ? {} : { onProgress: (step: string) => onProgress(`${name}: ${step}`) }),
    ...(signal === undefined ? {} : { signal }),
  });
  return path;
}
