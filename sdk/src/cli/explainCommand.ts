import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Argv, CommandModule } from "yargs";
import { optionInvalid } from "../context/checkOptions.ts";
import type { CommonArguments } from "./commonOptions.ts";
import { runCommand } from "./output.ts";

type ExplainArguments = CommonArguments & { readonly code: string };

/** The page of all error codes: in the package, or where it comes from. */
const PAGES = ["../../errors.md", "../../../docs/errors.md"].map((path) => new URL(path, import.meta.url));

export const explainCommand: CommandModule<object, ExplainArguments> = {
  command: "explain <code>",
  describe: "Say what causes an error, and what to do about it",
  builder: (yargs: Argv) =>
    yargs.positional("code", {
      type: "string",
      demandOption: true,
      describe: "An error's code, such as REFUSED",
    }) as Argv<ExplainArguments>,
  handler: (args) =>
    runCommand("explain", args, async () => {
      const code = args.code.toUpperCase();
      const { cause, mend } = await explain(code);
      return { lines: [code, `Cause: ${cause}`, `Mend: ${mend}`], data: { code, cause, mend } };
    }),
};

async function explain(code: string): Promise<{ readonly cause: string; readonly mend: string }> {
  const page = await readFile(PAGES.find((path) => existsSync(path)) ?? PAGES[0]!, "utf8");
  for (const [, name, cause, mend] of page.matchAll(/^### (\w+)\n\n\*Cause:\* (.+)\n\n\*Mend:\* (.+)$/gm)) {
    if (name === code) return { cause: cause!, mend: mend! };
  }
  throw optionInvalid("code", `there is no error "${code}"; give one as --json shows it in error.code.`);
}
