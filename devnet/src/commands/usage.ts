import { type HelpSource, usageText } from "gevulot-sdk/node";
import { printEnvelope } from "./terminal/envelope.ts";
import { EXIT_USAGE } from "./terminal/reportError.ts";

/** A wrong command line: one line what, one line what to do. */
export function failUsage(script: string, json = false) {
  return (message: string | null, error: Error | undefined, yargs: HelpSource): void => {
    // What yargs finds wrong comes as a message, or as an error of its own; what a check finds, as text.
    if (error instanceof Error && error.name !== "YError") throw error;
    const { text, command } = usageText(message ?? error?.message ?? "", script, yargs);
    if (json) {
      const name = command.split(" ").slice(1).join(" ");
      const failure = { code: "USAGE", message: text };
      printEnvelope({
        ...{ schemaVersion: 1, command: name, status: "error" },
        ...{ data: null, warnings: [], error: failure },
      });
    } else process.stderr.write(`error: ${text}\nSee ${command} --help.\n`);
    process.exit(EXIT_USAGE);
  };
}
