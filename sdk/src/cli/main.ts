import yargs, { type CommandModule } from "yargs";
import { hideBin } from "yargs/helpers";
import { usageText } from "../node/usageText.ts";
import { commonOptions } from "./commonOptions.ts";
import { completionCommand } from "./completionCommand.ts";
import { deployCommand } from "./deployCommand.ts";
import { execCommand, runRunCommand } from "./execCommands.ts";
import { explainCommand } from "./explainCommand.ts";
import { generateKeyCommand, showPublicKeyCommand } from "./keyCommands.ts";
import { listCommand } from "./listCommand.ts";
import { printUsageError } from "./output.ts";
import { calculateHashCommand, getTxCommand, printTxTreeCommand } from "./readCommands.ts";
import { cancelCommand, logsCommand, statusCommand } from "./runCommands.ts";
import { readVersion } from "./version.ts";

const SCRIPT = "gevulot";

const EPILOGUE = `Exit codes: 0 done; 1 failed; 2 wrong command line; 3 the node can't be reached; 4 the node refused;
5 the run failed; 6 the run has not ended in time.`;

// Each has a type of its own for its arguments, which no list can hold.
const COMMANDS = [
  generateKeyCommand,
  showPublicKeyCommand,
  deployCommand,
  execCommand,
  runRunCommand,
  statusCommand,
  logsCommand,
  cancelCommand,
  listCommand,
  printTxTreeCommand,
  getTxCommand,
  calculateHashCommand,
  explainCommand,
  completionCommand,
] as unknown as CommandModule[];

const words = hideBin(process.argv);

await yargs(words)
  .scriptName(SCRIPT)
  .version(readVersion())
  .usage("$0 <command>\n\nDeploy provers and verifiers to a Gevulot node and run them.")
  .options(commonOptions)
  .command(COMMANDS)
  .demandCommand(1, "Give a command.")
  // A flag that is given twice is a mistake, not a list.
  .parserConfiguration({ "duplicate-arguments-array": false })
  .strict()
  .epilogue(EPILOGUE)
  .fail((message, error, help) => {
    // What yargs finds wrong comes as a message, or as an error of its own.
    if (error && error.name !== "YError") throw error;
    printUsageError(usageText(message ?? error.message, SCRIPT, help), words.includes("--json"));
    process.exit();
  })
  .wrap(null)
  .parseAsync();
