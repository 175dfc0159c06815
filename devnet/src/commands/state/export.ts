import type { Argv, CommandModule } from "yargs";
import { report } from "../terminal/report.ts";
import { commonOptions } from "../up/upOptions.ts";
import { exportComposeCommand } from "./exportCompose.ts";
import { exportQuadletCommand } from "./exportQuadlet.ts";
import { type ExportStateArgs, runExportState } from "./exportState.ts";

export const exportCommand: CommandModule<object, ExportStateArgs> = {
  command: "export [file]",
  describe:
    "Write the state of this folder's devnet to a file, or files that run a node or a network elsewhere",
  builder: (yargs) =>
    yargs
      .command(exportQuadletCommand)
      .command(exportComposeCommand)
      .positional("file", { type: "string", describe: "The archive to write; `import` reads it" })
      .options(commonOptions)
      .option("force", { type: "boolean", default: false, describe: "Replace the file" })
      .check(({ file, _ }) => {
        return (
          file !== undefined ||
          _.length > 1 ||
          "Say what to write: export FILE, export quadlet or export compose."
        );
      }, false)
      .example("$0 export deployed.tar.gz", "")
      .example("$0 export quadlet --out node1 --advertise node1.example:9999", "")
      .strict() as unknown as Argv<ExportStateArgs>,
  handler: (args) => report("export", args, () => runExportState(args)),
};
