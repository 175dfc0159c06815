import { readFile } from "node:fs/promises";
import { basename, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type { Argv, CommandModule } from "yargs";
import { type BuildImageOptions, type BuiltImage, buildImage } from "../../image/buildImage.ts";
import { parseManifest } from "../../image/manifest.ts";
import { type BuiltNanosImage, buildNanosImage } from "../../image/nanos/buildNanosImage.ts";
import { unusable } from "../../image/readProgram.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import { EXIT_FAILURE, reportErrors } from "../terminal/reportError.ts";
import { stoppable } from "../terminal/stoppable.ts";
import { nanosFiles, nanosLines } from "./buildNanos.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    MANIFEST_UNREADABLE: { readonly path: string };
    ENV_ARGUMENT: { readonly argument: string };
    MOUNT_ARGUMENT: { readonly argument: string };
  }
}

interface Arguments {
  readonly program?: string | undefined;
  readonly "from-container"?: string | undefined;
  readonly "target-root"?: string | undefined;
  readonly config?: string | undefined;
  readonly output?: string | undefined;
  readonly imagename?: string | undefined;
  readonly args?: string[] | undefined;
  readonly env?: string[] | undefined;
  readonly mounts?: string[] | undefined;
  readonly exec: boolean;
  readonly "proof-file"?: string | undefined;
  readonly "output-file"?: string[] | undefined;
  readonly "working-dir"?: string | undefined;
  readonly format: "linux" | "nanos";
  readonly kernel?: string | undefined;
  readonly boot?: string | undefined;
  readonly "nanos-version"?: string | undefined;
  readonly modules?: string | undefined;
  readonly node?: string | undefined;
  readonly "cache-dir"?: string | undefined;
  readonly json: boolean;
}

const one = { type: "string", requiresArg: true } as const;
const many = { type: "string", array: true, nargs: 1 } as const;

export const imageBuildCommand: CommandModule<object, Arguments> = {
  command: "build [program]",
  describe: "Make a disk image of a JavaScript, TypeScript or x86-64 Linux program",
  builder: (yargs: Argv) =>
    yargs
      .positional("program", { type: "string", describe: "The program's file" })
      .option("from-container", {
        ...one,
        describe:
          "Instead of a program: a docker save archive, an OCI layout, or an image of podman or docker",
      })
      .option("config", { ...one, alias: "c", describe: "Manifest (JSON)" })
      .option("output", { ...one, alias: "o", describe: "The image's file; default <name>.img" })
      .option("imagename", { ...one, alias: "i", describe: "The image's name; default the program's" })
      .option("args", {
        ...many,
        alias: "a",
        describe: "An argument (-a=--x if it begins with a dash); repeatable, replaces Args",
      })
      .option("env", {
        ...many,
        alias: "e",
        describe: "K=V; repeatable, added to Env",
      })
      .option("mounts", {
        ...many,
        describe: "VOLUME:/path or %1:/path, :ro at the end for reading only; repeatable, added to Mounts",
      })
      .option("exec", {
        type: "boolean",
        default: false,
        describe:
          "The program knows nothing of tasks: it gets the task's arguments, what it writes is the proof",
      })
      .option("proof-file", {
        ...one,
        describe: "With --exec: the proof is this file, not the standard output",
      })
      .option("output-file", {
        ...many,
        describe: "With --exec: a file (or a pattern) of the workspace to hand back; repeatable",
      })
      .option("working-dir", {
        ...one,
        describe: "Where the manifest's files are; default the current folder",
      })
      .option("target-root", {
        ...one,
        alias: "r",
        describe: "A folder that stands for / when libraries are looked for",
      })
      .option("format", {
        choices: ["linux", "nanos"] as const,
        default: "linux" as const,
        describe: "nanos: as ops builds it, with the kernel of an installed ops",
      })
      .option("kernel", {
        ...one,
        describe: "A kernel of your own: bzImage with --modules; kernel.img with --boot for nanos",
      })
      .option("boot", { ...one, describe: "With --format nanos: the loader, boot.img" })
      .option("nanos-version", { ...one, describe: "With --format nanos: not that of ops's latest.txt" })
      .option("modules", { ...one, describe: "That kernel's modules folder" })
      .option("node", { ...one, describe: "The Node.js for the image; default the one that runs this" })
      .option("cache-dir", { ...one, describe: "Where the kernel is kept; default ~/.cache/gevulot" })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .check(
        (argv) =>
          [argv.program, argv["from-container"], argv.config].some((one) => one !== undefined) ||
          "Give the program's file, a manifest that names it (-c), or --from-container.",
      )
      .example("$0 image build prover.mjs -c prover.json", "writes prover.img"),
  handler: async (given) => {
    if (!given.json) return reportErrors(async () => print(await build(given), given));
    try {
      const { warnings, ...image } = await build(given);
      printEnvelope(okEnvelope("image build", image, warnings));
    } catch (error) {
      printEnvelope(errorEnvelope("image build", error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

async function build(given: Arguments): Promise<BuiltImage | BuiltNanosImage> {
  const manifest = given.config === undefined ? {} : await readManifest(given.config);
  const { program, runConfig } = parseManifest(manifest);
  const named = given.program ?? given["from-container"] ?? program;
  // As ops: the name ends at its first dot.
  const name = basename(given.imagename ?? runConfig.imageName ?? named ?? "").split(".")[0] || "program";
  const request = {
    program: given.program,
    manifest,
    libraryPath: process.env.LD_LIBRARY_PATH,
    outputPath: resolve(given.output ?? `${name}.img`),
    onProgress: (message: string) => void (given.json || process.stderr.write(`${message} …\n`)),
    ...(given.args ? { args: given.args } : {}),
    ...(given.env ? { env: Object.fromEntries(given.env.map(parseEnv)) } : {}),
    ...(given.mounts ? { mounts: Object.fromEntries(given.mounts.map(parseMount)) } : {}),
    ...execOf(given),
    ...(given["working-dir"] === undefined ? {} : { workingDir: given["working-dir"] }),
  };
  const container = given["from-container"];
  if (given.format === "nanos") {
    if (container !== undefined)
      throw unusable(container, "for Nanos give the file of an ELF program, and no container");
    const kernelFiles = nanosFiles(given);
    const nanos = { ...request, imageName: name, targetRoot: given["target-root"], kernelFiles };
    return stoppable((signal) => buildNanosImage({ ...nanos, signal }));
  }
  const linux = {
    ...request,
    fromContainer: container,
    targetRoot: given["target-root"],
    ...(given.kernel === undefined ? {} : { kernelPath: given.kernel }),
    ...(given.modules === undefined ? {} : { modulesDir: given.modules }),
    ...(given.node === undefined ? {} : { nodePath: given.node }),
    ...(given["cache-dir"] === undefined ? {} : { cacheDir: given["cache-dir"] }),
  };
  return stoppable((signal) => buildImage({ ...linux, signal }));
}

export async function readManifest(path: string): Promise<unknown> {
  try {
    const text = await readFile(path, "utf8");
    return JSON.parse(process.env.ops_render_config === "true" ? withVariables(text) : text);
  } catch (cause) {
    const reason = cause instanceof SyntaxError ? `is not JSON: ${cause.message}` : "can't be read";
    throw new GevulotError(
      "MANIFEST_UNREADABLE",
      `The manifest ${path} ${reason}. Give a JSON file with -c.`,
      {
        context: { path },
        cause,
      },
    );
  }
}

/** As ops: `$NAME` and `${NAME}` of the environment; what is not set is empty. */
function withVariables(text: string): string {
  const variable = /\$(?:(\w+)|\{(\w+)\})/g;
  return text.replace(
    variable,
    (_, plain?: string, braced?: string) => process.env[plain ?? braced ?? ""] ?? "",
  );
}

/** Either of its options says that it is one. */
function execOf(given: Arguments): Pick<BuildImageOptions, "exec"> {
  const [proofFile, outputs] = [given["proof-file"], given["output-file"]];
  return given.exec || proofFile !== undefined || outputs ? { exec: { proofFile, outputs } } : {};
}

export function parseMount(argument: string): [string, string] {
  const at = argument.indexOf(":");
  if (at <= 0) {
    const message = `--mounts ${argument} is not understood: write --mounts VOLUME:/path.`;
    throw new GevulotError("MOUNT_ARGUMENT", message, { context: { argument } });
  }
  return [argument.slice(0, at), argument.slice(at + 1)];
}

export function parseEnv(argument: string): [string, string] {
  const at = argument.indexOf("=");
  if (at <= 0) {
    throw new GevulotError("ENV_ARGUMENT", `-e ${argument} is not understood: write -e NAME=value.`, {
      context: { argument },
    });
  }
  return [argument.slice(0, at), argument.slice(at + 1)];
}

function print(image: BuiltImage | BuiltNanosImage, given: Arguments): void {
  if ("format" in image) return void process.stdout.write(`${nanosLines(image).join("\n")}\n`);
  const { versions, program } = image;
  const size = `${(image.sizeBytes / 2 ** 20).toFixed(0)} MiB`;
  const lines = [
    ...image.warnings.map((warning) => `warning: ${warning}`),
    ...image.notes.map((note) => `note: ${note}`),
    `Bootable image file:${image.path}`,
    `  checksum   ${image.checksum}  (BLAKE3)`,
    `  size       ${size}`,
    `  program    ${program.path}${program.args.length > 0 ? ` with ${program.args.length} argument(s)` : ""}`,
    `  workspace  ${program.workspace}, root ${program.readonlyRootfs ? "read-only" : "writable"}`,
    `  runtime    Linux ${versions.kernel}${versions.node ? `, Node.js ${versions.node}` : ""}`,
    ...(program.kind === "elf" && given["from-container"] === undefined
      ? [`  libraries  ${image.runtime.join(" ") || "none: linked statically"}`]
      : []),
    ...(image.files.length > 0 ? [`  files      ${image.files.join(" ")}`] : []),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}
