import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { ARGS_PLACE, exec } from "./exec.ts";
import { readVersion } from "./version.ts";

const EXIT_USAGE = 2;

function failUsage(message: string | null, error: Error | undefined): void {
  // What yargs finds wrong comes as a message, or as an error of its own.
  if (error && error.name !== "YError") throw error;
  process.stderr.write(`error: ${message ?? error?.message}\nSee gevulot-shim --help.\n`);
  process.exit(EXIT_USAGE);
}

await yargs(hideBin(process.argv))
  .scriptName("gevulot-shim")
  .version(readVersion())
  .usage("$0 <command>\n\nRuns programs that know nothing of tasks as provers and verifiers.")
  .command(
    "exec",
    "Take the task, run a program as it is, hand back what it made",
    (builder) =>
      builder
        .usage(
          `$0 exec [options] -- program [arguments]\n\nThe task's arguments come last, or where ${ARGS_PLACE} stands.`,
        )
        .option("proof-file", {
          type: "string",
          requiresArg: true,
          describe: "The file of the workspace that is the proof; default: the standard output",
        })
        .option("output", {
          type: "string",
          array: true,
          nargs: 1,
          default: [] as string[],
          describe: "A file of the workspace to hand back; repeatable",
        })
        .example("$0 exec --proof-file proof.bin -- /bin/prover --out /workspace/proof.bin", ""),
    async (argv) => {
      const [program, ...args] = ((argv["--"] as unknown[] | undefined) ?? []).map(String);
      if (program === undefined) return failUsage("Give the program after --.", undefined);
      await exec({ program, args, proofFile: argv.proofFile, outputs: argv.output });
    },
  )
  .demandCommand(1, "Give a command.")
  .parserConfiguration({ "boolean-negation": false, "populate--": true })
  .strict()
  .fail(failUsage)
  .wrap(null)
  .parseAsync();
