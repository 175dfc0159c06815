import type { Argv, CommandModule } from "yargs";
import { copyFromImage } from "../../image/copyFromImage.ts";
import { report } from "../terminal/report.ts";

interface Arguments {
  readonly file: string;
  readonly path: string;
  readonly rest: string[];
  readonly recursive: boolean;
  readonly dereference: boolean;
  readonly json: boolean;
}

export const imageCpCommand: CommandModule<object, Arguments> = {
  command: "cp <file> <path> <rest..>",
  describe: "Copy files out of an image: cp IMAGE PATH... TARGET",
  builder: (yargs: Argv) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "An image" })
      .positional("path", { type: "string", demandOption: true, describe: "A file or folder in it" })
      .positional("rest", {
        type: "string",
        array: true,
        demandOption: true,
        describe: "More of them, and at last the target: a folder, or the copy's name",
      })
      .option("recursive", { type: "boolean", default: false, alias: "r", describe: "Folders too" })
      .option("dereference", {
        type: "boolean",
        default: false,
        alias: "L",
        describe: "What links lead to, instead of the links",
      })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .example("$0 image cp -r prover.img /data ./out", "writes out, or out/data if out is there"),
  handler: (given) =>
    report("image cp", given, async () => ({ lines: [], data: { written: await copy(given) } })),
};

function copy({ file, path, rest, recursive, dereference }: Arguments): Promise<number> {
  return copyFromImage({
    imagePath: file,
    paths: [path, ...rest.slice(0, -1)],
    target: rest.at(-1) ?? ".",
    deep: recursive,
    followLinks: dereference,
  });
}
