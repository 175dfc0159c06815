import yargs, { type CommandModule } from "yargs";
import { hideBin } from "yargs/helpers";
import { COMMANDS } from "./commands/commandTable.ts";
import { failUsage } from "./commands/usage.ts";
import { readVersion } from "./commands/version.ts";

const words = hideBin(process.argv);
const first = words.find((word) => !word.startsWith("-")) ?? "";
// For help and completion, and for a word that is none of them, all are there.
const wanted = Object.hasOwn(COMMANDS, first) ? [COMMANDS[first]] : Object.values(COMMANDS);
const loaded = (await Promise.all(wanted.map((load) => load?.()))) as CommandModule[];
// One with two names is there once.
const commands = [...new Set(loaded)];

await yargs(words)
  .scriptName("gevulot-devnet")
  .version(readVersion())
  .usage("$0 <command>\n\nA Gevulot network on this machine, for developing and testing programs.")
  .command(commands)
  // So that a word that is no command is what is reported.
  .option("json", { type: "boolean", hidden: true, global: false })
  .demandCommand(1, "Give a command.")
  // A flag named no-execution must not be read as the negation of "execution".
  .parserConfiguration({ "boolean-negation": false })
  .strict()
  .fail(failUsage("gevulot-devnet", words.includes("--json")))
  .wrap(null)
  .parseAsync();
