import yargs, { type CommandModule } from "yargs";
import { hideBin } from "yargs/helpers";
import { failUsage } from "./commands/usage.ts";
import { readVersion } from "./commands/version.ts";

/** Loaded when they are asked for: a start is quick, as it loads nothing else. */
const COMMANDS: Readonly<Record<string, () => Promise<unknown>>> = {
  up: async () => (await import("./commands/up.ts")).upCommand,
  down: async () => (await import("./commands/down.ts")).downCommand,
  status: async () => (await import("./commands/down.ts")).statusCommand,
  trace: async () => (await import("./commands/trace.ts")).traceCommand,
  explorer: async () => (await import("./commands/explorer.ts")).explorerCommand,
  node: async () => (await import("./commands/node.ts")).nodeCommand,
  image: async () => (await import("./commands/image.ts")).imageCommand,
  task: async () => (await import("./commands/taskRun.ts")).taskCommand,
  pipeline: async () => (await import("./commands/pipeline.ts")).pipelineCommand,
  export: async () => (await import("./commands/export.ts")).exportCommand,
  vm: async () => (await import("./commands/vmRun.ts")).vmCommand,
  volume: async () => (await import("./commands/volume.ts")).volumeCommand,
  completion: async () => (await import("./commands/completion.ts")).completionCommand,
};

const words = hideBin(process.argv);
const first = words.find((word) => !word.startsWith("-")) ?? "";
// For help and completion, and for a word that is none of them, all are there.
const wanted = Object.hasOwn(COMMANDS, first) ? [COMMANDS[first]] : Object.values(COMMANDS);
const commands = (await Promise.all(wanted.map((load) => load?.()))) as CommandModule[];

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
