import { createKeyFile, readKeyFile } from "gevulot-sdk/node";
import { publicKeyOf } from "gevulot-sdk/protocol";
import type { CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { createDatabase } from "../../store/database.ts";
import { migrate } from "../../store/migrate.ts";
import { reportErrors } from "../terminal/reportError.ts";

const keyFile = {
  type: "string",
  demandOption: true,
  requiresArg: true,
  describe: "The key file: 32 raw bytes",
} as const;

export const generateKeyCommand: CommandModule<object, { "key-file": string }> = {
  command: "generate key",
  describe: "Make a new node key; never overwrites a file",
  builder: { "key-file": keyFile },
  handler: ({ "key-file": path }) =>
    reportErrors(async () => {
      const publicKey = publicKeyOf(await createKeyFile(path));
      process.stdout.write(`Key generated and saved in file: ${path}\nPublic key: ${publicKey}\n`);
    }),
};

export const showPublicKeyCommand: CommandModule<object, { "key-file": string }> = {
  command: "show public-key",
  describe: "Print the public key of a key file",
  builder: { "key-file": keyFile },
  handler: ({ "key-file": path }) =>
    reportErrors(async () => {
      process.stdout.write(`Public key: ${publicKeyOf(await readKeyFile(path))}\n`);
    }),
};

export const migrateCommand: CommandModule<object, { "db-url": string }> = {
  command: "migrate",
  describe: "Bring the database schema to this version; safe to run twice",
  builder: {
    "db-url": { type: "string", demandOption: true, requiresArg: true, describe: "PostgreSQL 15 or newer" },
  },
  handler: ({ "db-url": url }) =>
    reportErrors(async () => {
      await using database = await createDatabase({ log: createLogger("warn") }, { url });
      const applied = await migrate(database);
      process.stdout.write(
        applied.length > 0 ? `Applied: ${applied.join(", ")}\n` : "The schema is up to date.\n",
      );
    }),
};
