import { parsePublicKey } from "gevulot-sdk/protocol";
import type { CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { addToAccessList, isAccessListEmpty, removeFromAccessList } from "../../store/accessList.ts";
import { createDatabase } from "../../store/database.ts";
import { migrate } from "../../store/migrate.ts";
import { reportErrors } from "../terminal/reportError.ts";

interface PeerArguments {
  key: string;
  action: "whitelist" | "deny";
  "db-url": string;
}

export const peerCommand: CommandModule<object, PeerArguments> = {
  command: "peer <key> <action>",
  describe: "Put a public key on the access list, or take it off",
  builder: (yargs) =>
    yargs
      // As text: a key of digits would be read as a number.
      .positional("key", { type: "string", demandOption: true, describe: "130 hex digits" })
      .positional("action", { choices: ["whitelist", "deny"] as const, demandOption: true })
      .option("db-url", {
        type: "string",
        demandOption: true,
        requiresArg: true,
        describe: "The node's database",
      }),
  handler: ({ key: text, action, "db-url": url }) =>
    reportErrors(async () => {
      const key = parsePublicKey(text);
      await using database = await createDatabase({ log: createLogger("warn") }, { url });
      await migrate(database);
      if (action === "whitelist") {
        const added = await addToAccessList(database, [key]);
        process.stdout.write(added > 0 ? `Whitelisted: ${key}\n` : `Already whitelisted: ${key}\n`);
        return;
      }
      const removed = await removeFromAccessList(database, key);
      process.stdout.write(removed ? `Denied: ${key}\n` : `Was not on the list: ${key}\n`);
      if (await isAccessListEmpty(database)) {
        process.stderr.write(
          "The access list is empty. A node that starts now takes everybody's transactions, unless it is given --acl on.\n",
        );
      }
    }),
};
