import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { beaconCommand } from "./commands/node/beacon.ts";
import { generateKeyCommand, migrateCommand, showPublicKeyCommand } from "./commands/node/keys.ts";
import { peerCommand } from "./commands/node/peer.ts";
import { pruneCommand } from "./commands/node/prune.ts";
import { nodeRunCommand } from "./commands/node/run.ts";
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
