import { resolve } from "node:path";
import type { CommandModule } from "yargs";
import { importState } from "../../state/snapshots.ts";
import { report } from "../terminal/report.ts";
import { commonOptions } from "../up/upOptions.ts";
import { nodesText, type StateArgs, withStateHost } from "./stateHost.ts";

export const importCommand: CommandModule<object, StateArgs & { readonly file: string }> = {
  command: "import <file>",
  describe: "Put the state of a file that `export` wrote in the place of this folder's devnet",
  builder: (yargs) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "An archive made by export" })
      .options(commonOptions)
      .example("$0 import deployed.tar.gz && $0 up --nodes 3", ""),
  handler: (args) =>
    report("import", args, () =>
      withStateHost(args, { create: true }, async (host) => {
        const file = resolve(args.file);
        const { nodes, createdAt } = await importState(host, file);
        const next = `gevulot-devnet up --nodes ${nodes.length}`;
        return {
          data: { file, nodes: nodes.length, createdAt },
          lines: [
            `imported ${nodesText(nodes.length)} of ${createdAt}`,
            `if it does not run, start it with: ${next}`,
          ],
        };
      }),
    ),
};
