import yargs, { type CommandModule } from "yargs";
import { hideBin } from "yargs/helpers";
import { failUsage } from "./commands/usage.ts";
import { readVersion } from "./commands/version.ts";

/** Loaded when they are asked for: a start is quick, as it loads nothing else. */
const COMMANDS: Readonly<Record<string, () => Promise<unknown>>> = {
  up: async () => (await import("./commands/up.ts")).upCommand,
  down: async () => (await import("./commands/down.ts")).downCommand,
  stop: async () => (await import("./commands/down.ts")).downCommand,
  start: async () => (await import("./commands/startAgain.ts")).startCommand,
  restart: async () => (await import("./commands/startAgain.ts")).restartCommand,
  reset: async () => (await import("./commands/startAgain.ts")).resetCommand,
  status: async () => (await import("./commands/status.ts")).statusCommand,
  ls: async () => (await import("./commands/ls.ts")).lsCommand,
  doctor: async () => (await import("./commands/doctor.ts")).doctorCommand,
  trace: async () => (await import("./commands/trace.ts")).traceCommand,
  logs: async () => (await import("./commands/logs.ts")).logsCommand,
  explorer: async () => (await import("./commands/explorer.ts")).explorerCommand,
  node: async () => (await import("./commands/node.ts")).nodeCommand,
  image: async () => (await import("./commands/image.ts")).imageCommand,
  task: async () => (await import("./commands/taskRun.ts")).taskCommand,
  pipeline: async () => (await import("./commands/pipeline.ts")).pipelineCommand,
  snapshot: async () => (await import("./commands/snapshot.ts")).snapshotCommand,
  import: async () => (await import("./commands/import.ts")).importCommand,
  export: async () => (await import("./commands/export.ts")).exportCommand,
  vm: async () => (await import("./commands/vmRun.ts")).vmCommand,
  volume: async () => (await import("./commands/volume.ts")).volumeCommand,
  completion: async () => (await import("./commands/completion.ts")).completionCommand,
};

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
