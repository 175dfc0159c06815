import { resolve } from "node:path";
import type { Argv, CommandModule } from "yargs";
import { report } from "../terminal/report.ts";
import { type DevnetArgs, requireDevnet } from "./requireDevnet.ts";
import { summary } from "./summary.ts";
import { commonOptions } from "./upOptions.ts";

export const statusCommand: CommandModule<object, DevnetArgs> = {
  command: "status",
  describe: "Say whether a devnet runs in this folder, and where it listens",
  builder: (yargs: Argv) =>
    yargs
      .options(commonOptions)
      .example("$0 status", "")
      .example("$0 status --json | jq -r '.data.nodes[0].rpcUrl'", "for scripts") as Argv<DevnetArgs>,
  handler: (args) =>
    report("status", args, async () => {
      const { data, warnings } = await requireDevnet(resolve(args["state-dir"]));
      return {
        lines: [summary(data, args.json ? [] : warnings, null)],
        data,
        warnings: args.json ? warnings : [],
      };
    }),
};
