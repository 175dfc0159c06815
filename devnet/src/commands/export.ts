import type { CommandModule } from "yargs";
import { exportQuadletCommand } from "./exportQuadlet.ts";

export const exportCommand: CommandModule = {
  command: "export",
  describe: "Write files that run a node or a network elsewhere",
  builder: (yargs) =>
    yargs
      .command(exportQuadletCommand)
      .demandCommand(1, "Say what to write: export quadlet.")
      .example("$0 export quadlet --out node1 --advertise node1.example:9999", "")
      .strict(),
  handler: () => {},
};
