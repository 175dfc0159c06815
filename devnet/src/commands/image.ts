import type { CommandModule } from "yargs";
import { imageBuildCommand } from "./imageBuild.ts";
import { imageInspectCommand } from "./imageInspect.ts";

export const imageCommand: CommandModule = {
  command: "image",
  describe: "Make a program's disk image, or look into one",
  builder: (yargs) =>
    yargs
      .command(imageBuildCommand)
      .command(imageInspectCommand)
      .demandCommand(1, "Say what to do: image build or image inspect.")
      .strict(),
  handler: () => {},
};
