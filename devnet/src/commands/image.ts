import type { CommandModule } from "yargs";
import { imageBuildCommand } from "./imageBuild.ts";
import { imageCatCommand } from "./imageCat.ts";
import { imageCheckCommand } from "./imageCheck.ts";
import { imageCpCommand } from "./imageCp.ts";
import { imageInspectCommand } from "./imageInspect.ts";
import { imageLsCommand } from "./imageLs.ts";
import { imageTemplateCommand } from "./imageTemplate.ts";
import { imageVerifyCommand } from "./imageVerify.ts";

export const imageCommand: CommandModule = {
  command: "image",
  describe: "Make a program's disk image, or look into one",
  builder: (yargs) =>
    yargs
      .command(imageBuildCommand)
      .command(imageCheckCommand)
      .command(imageInspectCommand)
      .command(imageLsCommand)
      .command(imageCatCommand)
      .command(imageCpCommand)
      .command(imageVerifyCommand)
      .command(imageTemplateCommand)
      .demandCommand(1, "Say what to do: image build, check, inspect, ls, cat, cp, verify or template.")
      .strict(),
  handler: () => {},
};
