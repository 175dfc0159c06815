import { resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { NODE_ACTIONS, type NodeAction, orderNode } from "../../up/control.ts";
import { report } from "../terminal/report.ts";
import { type DevnetArgs, requireDevnet } from "../up/requireDevnet.ts";
import { commonOptions } from "../up/upOptions.ts";

type NodeArgs = DevnetArgs & { action: NodeAction; number: number };

export const nodeCommand: CommandModule<object, NodeArgs> = {
  command: "node <action> <number>",
  describe: "Stop, start, kill or pause a node of this folder's devnet, to test what happens then",
  builder: (yargs: Argv) =>
    yargs
      .positional("action", { choices: NODE_ACTIONS, demandOption: true })
      .positional("number", { type: "number", demandOption: true, describe: "From 0, as status shows them" })
      .options(commonOptions)
      .example("$0 node kill 1", "as a crash")
      .example(
        "$0 node start 1",
        "on the same ports; one that is paused goes on",
      ) as unknown as Argv<NodeArgs>,
  handler: (args) =>
    report("node", args, async () => {
      const { action, number } = args;
      const state = await requireDevnet(resolve(args["state-dir"]));
      await orderNode(state.control, number, action);
      return { lines: [`node${number}: ${action} done`], data: { node: number, action } };
    }),
};
