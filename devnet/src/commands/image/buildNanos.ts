import { homedir } from "node:os";
import { join } from "node:path";
import type { BuiltNanosImage } from "../../image/nanos/buildNanosImage.ts";
import type { KernelFilesOptions } from "../../image/nanos/kernelFiles.ts";

/** Where Nanos is looked for: an installed ops, as OPS_HOME says, or what stands on the command line. */
export function nanosFiles(given: {
  readonly kernel?: string | undefined;
  readonly boot?: string | undefined;
  readonly "nanos-version"?: string | undefined;
}): KernelFilesOptions {
  return {
    opsHome: join(process.env.OPS_HOME || homedir(), ".ops"),
    version: given["nanos-version"],
    kernelPath: given.kernel,
    bootPath: given.boot,
  };
}

/** What `image build` prints of a Nanos image. */
export function nanosLines(image: BuiltNanosImage): string[] {
  const { program } = image;
  return [
    ...image.warnings.map((warning) => `warning: ${warning}`),
    ...image.notes.map((note) => `note: ${note}`),
    `Bootable image file:${image.path}`,
    `  checksum   ${image.checksum}  (BLAKE3)`,
    `  size       ${(image.sizeBytes / 2 ** 20).toFixed(0)} MiB`,
    `  program    ${program.path}${program.args.length > 0 ? ` with ${program.args.length} argument(s)` : ""}`,
    `  workspace  ${image.workspace}`,
    `  runtime    Nanos${image.nanosVersion ? ` ${image.nanosVersion}` : ""}`,
    `  libraries  ${image.libraries.join(" ") || "none: linked statically"}`,
    ...(image.files.length > 0 ? [`  files      ${image.files.join(" ")}`] : []),
  ];
}
