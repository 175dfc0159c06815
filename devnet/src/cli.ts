import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { downCommand, statusCommand } from "./commands/down.ts";
import { imageCommand } from "./commands/image.ts";
import { nodeCommand } from "./commands/node.ts";
import { pipelineCommand } from "./commands/pipeline.ts";
import { taskCommand } from "./commands/taskRun.ts";
import { upCommand } from "./commands/up.ts";
import { failUsage } from "./commands/usage.ts";
import { readVersion } from "./commands/version.ts";
import { vmCommand } from "./commands/vmRun.ts";
import { volumeCommand } from "./commands/volume.ts";

await yargs(hideBin(process.argv))
  .scriptName("gevulot-devnet")
  .version(readVersion())
  .usage("$0 <command>\n\nA Gevulot network on this machine, for developing and testing programs.")
  .command(upCommand)
  .command(downCommand)
  .command(statusCommand)
  .command(nodeCommand)
  .command(imageCommand)
  .command(taskCommand)
  .command(pipelineCommand)
  .command(vmCommand)
  .command(volumeCommand)
  .demandCommand(1, "Give a command.")
  // A flag named no-execution must not be read as the negation of "execution".
  .parserConfiguration({ "boolean-negation": false })
  .strict()
  .fail(failUsage("gevulot-devnet"))
  .wrap(null)
  .parseAsync();
