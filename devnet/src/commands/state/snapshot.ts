import { resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import {
  listSnapshots,
  loadSnapshot,
  removeSnapshot,
  type SnapshotInfo,
  saveSnapshot,
} from "../../state/snapshots.ts";
import { report } from "../terminal/report.ts";
import { commonOptions } from "../up/upOptions.ts";
import { nodesText, type StateArgs, sizeText, withStateHost } from "./stateHost.ts";

interface NamedArgs extends StateArgs {
  readonly name: string;
}

const describe = ({ name, nodes, bytes }: SnapshotInfo): string =>
  `${name}: ${nodesText(nodes)}, ${sizeText(bytes)}`;

const named = (yargs: Argv) =>
  yargs
    .positional("name", { type: "string", demandOption: true, describe: "The snapshot's name" })
    .options(commonOptions);

const saveCommand: CommandModule<object, NamedArgs & { readonly force: boolean }> = {
  command: "save <name>",
  describe: "Keep databases, files and keys under a name; the devnet may run meanwhile",
  builder: (yargs) =>
    named(yargs)
      .option("force", { type: "boolean", default: false, describe: "Replace a snapshot of this name" })
      .example("$0 snapshot save deployed", ""),
  handler: (args) =>
    report("snapshot save", args, () =>
      withStateHost(args, { create: false }, async (host) => {
        const saved = await saveSnapshot(host, args.name, args);
        return { data: saved, lines: [`saved ${describe(saved)}`] };
      }),
    ),
};

const loadCommand: CommandModule<object, NamedArgs> = {
  command: "load <name>",
  describe: "Go back to a snapshot; what came since is forgotten, on all nodes",
  builder: (yargs) => named(yargs).example("$0 snapshot load deployed", ""),
  handler: (args) =>
    report("snapshot load", args, () =>
      withStateHost(args, { create: false }, async (host) => {
        const loaded = await loadSnapshot(host, args.name);
        return { data: loaded, lines: [`loaded ${describe(loaded)}`] };
      }),
    ),
};

const lsCommand: CommandModule<object, StateArgs> = {
  command: "ls",
  describe: "List the snapshots of this folder's devnet",
  builder: (yargs) => yargs.options(commonOptions).example("$0 snapshot ls", ""),
  handler: (args) =>
    report("snapshot ls", args, async () => {
      const snapshots = await listSnapshots(resolve(args["state-dir"]));
      const lines = snapshots.map((each) => `${each.createdAt.slice(0, 19)}  ${describe(each)}`);
      const none = ["no snapshots yet; make one with: gevulot-devnet snapshot save NAME"];
      return { data: { snapshots }, lines: lines.length > 0 ? lines : none };
    }),
};

const rmCommand: CommandModule<object, NamedArgs> = {
  command: "rm <name>",
  describe: "Remove a snapshot",
  builder: (yargs) => named(yargs).example("$0 snapshot rm deployed", ""),
  handler: (args) =>
    report("snapshot rm", args, async () => {
      await removeSnapshot(resolve(args["state-dir"]), args.name);
      return { data: { name: args.name }, lines: [`removed ${args.name}`] };
    }),
};

export const snapshotCommand: CommandModule = {
  command: "snapshot",
  describe: "Keep the state of this folder's devnet under names, and go back to it",
  builder: (yargs) =>
    yargs
      .command(saveCommand)
      .command(loadCommand)
      .command(lsCommand)
      .command(rmCommand)
      .demandCommand(1, "Say what to do: snapshot save, load, ls or rm.")
      .example("$0 snapshot save deployed", "before an experiment")
      .strict(),
  handler: () => {},
};
