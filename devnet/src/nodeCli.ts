import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { beaconCommand } from "./commands/nodeBeacon.ts";
import { generateKeyCommand, migrateCommand, showPublicKeyCommand } from "./commands/nodeKeys.ts";
import { peerCommand } from "./commands/nodePeer.ts";
import { pruneCommand } from "./commands/nodePrune.ts";
import { nodeRunCommand } from "./commands/nodeRun.ts";
import { failUsage } from "./commands/usage.ts";
import { readVersion } from "./commands/version.ts";

await yargs(hideBin(process.argv))
  .scriptName("gevulot-node")
  .version(readVersion())
  .usage(
    "$0 <command>\n\nA Gevulot node: keeps transactions, runs provers and verifiers in virtual machines.",
  )
  .command(nodeRunCommand)
  .command(migrateCommand)
  .command(generateKeyCommand)
  .command(showPublicKeyCommand)
  .command(peerCommand)
  .command(pruneCommand)
  .command(beaconCommand)
  .demandCommand(1, "Give a command.")
  // A flag named no-execution must not be read as the negation of "execution".
  .parserConfiguration({ "boolean-negation": false })
  .strict()
  .fail(failUsage("gevulot-node"))
  .wrap(null)
  .parseAsync();
