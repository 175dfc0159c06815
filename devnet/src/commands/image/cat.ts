import type { Argv, CommandModule } from "yargs";
import { catImageFile } from "../../image/listImage.ts";
import { reportErrors } from "../terminal/reportError.ts";

interface Arguments {
  readonly file: string;
  readonly path: string;
}

const STDOUT = 1;

export const imageCatCommand: CommandModule<object, Arguments> = {
  command: "cat <file> <path>",
  describe: "Write a file of an image to the standard output",
  builder: (yargs: Argv) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "An image" })
      .positional("path", { type: "string", demandOption: true, describe: "A file in it" })
      .example("$0 image cat prover.img /etc/app.json", "writes it to the standard output"),
  handler: ({ file, path }) => reportErrors(() => catImageFile({ imagePath: file, path, outputFd: STDOUT })),
};
