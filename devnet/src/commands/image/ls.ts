import type { Argv, CommandModule } from "yargs";
import type { ImageEntry } from "../../image/imageFiles.ts";
import { listImageFolder } from "../../image/listImage.ts";
import { report } from "../terminal/report.ts";

interface Arguments {
  readonly file: string;
  readonly path: string;
  readonly long: boolean;
  readonly recursive: boolean;
  readonly json: boolean;
}

export const imageLsCommand: CommandModule<object, Arguments> = {
  command: "ls <file> [path]",
  describe: "List an image's files",
  builder: (yargs: Argv) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "An image" })
      .positional("path", { type: "string", default: "/", describe: "A folder or file in it" })
      .option("long", { type: "boolean", default: false, alias: "l", describe: "With modes and sizes" })
      .option("recursive", { type: "boolean", default: false, alias: "R", describe: "And all below it" })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .example("$0 image ls -lR prover.img", "all that is in it"),
  handler: (args) =>
    report("image ls", args, async () => {
      const { file, path, long, recursive } = args;
      const entries = await listImageFolder({ imagePath: file, path, deep: recursive });
      const lines = entries.map((entry) => printable(long ? longLine(entry) : entry.path));
      return { lines, data: entries };
    }),
};

/** An image may be a stranger's: a name must not steer the terminal. */
function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, "?");
}

function longLine({ mode, sizeBytes, path, target }: ImageEntry): string {
  return `${mode} ${String(sizeBytes).padStart(12)} ${path}${target === undefined ? "" : ` -> ${target}`}`;
}
