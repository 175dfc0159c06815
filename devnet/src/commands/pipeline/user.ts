import { GevulotError } from "gevulot-sdk";
import type { CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { checksumAddress } from "../../pipeline/admit/requestSignature.ts";
import { readPipelineConfig } from "../../pipeline/config.ts";
import { migratePipeline } from "../../pipeline/store/migratePipeline.ts";
import { addUser, removeUser } from "../../pipeline/store/users.ts";
import { createDatabase } from "../../store/database.ts";
import { reportErrors } from "../terminal/reportError.ts";
import { pipelineConfigOption } from "./configOption.ts";

interface UserArguments {
  action: "add" | "remove";
  address: string;
  config: string;
}

const ADDRESS = /^(?:0x)?([0-9a-fA-F]{40})$/;

export const pipelineUserCommand: CommandModule<object, UserArguments> = {
  command: "user <action> <address>",
  describe: "Let an Ethereum address submit runs, or no longer",
  builder: (yargs) =>
    yargs
      .positional("action", { choices: ["add", "remove"] as const, demandOption: true })
      .positional("address", {
        type: "string",
        demandOption: true,
        describe: "40 hex digits, with or without 0x",
      })
      .options({ config: { ...pipelineConfigOption.config, describe: "The stage's configuration" } })
      .example("$0 pipeline user add 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266 -c stage.toml", ""),
  handler: ({ action, address: given, config: path }) =>
    reportErrors(async () => {
      const match = ADDRESS.exec(given);
      if (!match) {
        throw new GevulotError(
          "OPTION_INVALID",
          `${given} is no address. Give 40 hex digits, with or without 0x.`,
          {
            context: { option: "address" },
          },
        );
      }
      const address = checksumAddress(match[1]!);
      const config = await readPipelineConfig(path, "stage");
      await using database = await createDatabase(
        { log: createLogger("warn") },
        { url: config.database_url! },
      );
      await migratePipeline(database);
      if (action === "add") await addUser(database, address);
      else await removeUser(database, address);
      process.stdout.write(
        action === "add" ? `May submit runs: ${address}\n` : `May no longer submit runs: ${address}\n`,
      );
    }),
};
