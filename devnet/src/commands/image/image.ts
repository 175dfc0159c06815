import type { CommandModule } from "yargs";
import { imageBuildCommand } from "./build.ts";
import { imageCatCommand } from "./cat.ts";
import { imageCheckCommand } from "./check.ts";
import { imageCpCommand } from "./cp.ts";
import { imageInspectCommand } from "./inspect.ts";
import { imageLsCommand } from "./ls.ts";
import { imageTemplateCommand } from "./template.ts";
import { imageVerifyCommand } from "./verify.ts";

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
