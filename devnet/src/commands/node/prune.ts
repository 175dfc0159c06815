import { GevulotError } from "gevulot-sdk";
import type { CommandModule } from "yargs";
import { createFileLayout } from "../../files/layout.ts";
import { prune } from "../../files/prune.ts";
import { createLogger } from "../../observe/logger.ts";
import { NODE_OPTIONS, parseNodeOptions } from "../../options.ts";
import { createDatabase } from "../../store/database.ts";
import { reportErrors } from "../terminal/reportError.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PRUNE_NO_LIMIT: Record<never, never>;
  }
}

const FLAGS = ["data-directory", "log-directory", "db-url", "keep-days", "max-disk-gb"];
const MIB = 2 ** 20;

export const pruneCommand: CommandModule = {
  command: "prune",
  describe:
    "Remove files of Runs that ended: inputs, outputs, consoles, uploads; never images or what tasks need",
  builder: (yargs) => {
    for (const { flag, variable, type, describe } of NODE_OPTIONS) {
      if (!FLAGS.includes(flag)) continue;
      yargs.option(flag, { type, requiresArg: true, describe: `${describe} [${variable}]` });
    }
    return yargs
      .option("dry-run", { type: "boolean", default: false, describe: "Say what would go, remove nothing" })
      .example("$0 prune --keep-days 7 --dry-run", "");
  },
  handler: (argv) =>
    reportErrors(async () => {
      const { dataDirectory, logDirectory, dbUrl, keepDays, maxDiskGb } = parseNodeOptions(argv, process.env);
      if (keepDays === undefined && maxDiskGb === undefined) {
        throw new GevulotError(
          "PRUNE_NO_LIMIT",
          "Nothing says what may go. Give --keep-days, --max-disk-gb or both.",
          {
            context: {},
          },
        );
      }
      const log = createLogger("warn");
      await using database = await createDatabase({ log }, { url: dbUrl });
      const dryRun = argv.dryRun === true;
      const { removed, freedBytes, keptBytes } = await prune(
        { log, database, layout: createFileLayout(dataDirectory) },
        { logDirectory, keepDays, maxDiskGb, dryRun },
      );
      const mib = (bytes: number) => `${Math.ceil(bytes / MIB)} MiB`;
      const verb = dryRun ? "Would remove" : "Removed";
      process.stdout.write(
        `${verb} ${removed} files and folders, ${mib(freedBytes)}; ${mib(keptBytes)} are kept.\n`,
      );
    }),
};
