import type { Argv, CommandModule } from "yargs";
import { imageInvalid } from "../image/descriptor.ts";
import { type ImageCheck, verifyImage } from "../image/verifyImage.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "./envelope.ts";
import { EXIT_FAILURE, reportErrors } from "./reportError.ts";

interface Arguments {
  readonly file: string;
  readonly json: boolean;
}

export const imageVerifyCommand: CommandModule<object, Arguments> = {
  command: "verify <file>",
  describe: "Read all of an image and say whether it is as it was built, and what is damaged",
  builder: (yargs: Argv) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "An image" })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" }),
  handler: async ({ file, json }) => {
    if (!json) {
      return reportErrors(async () => {
        const checks = await verifyImage(file);
        for (const check of checks) process.stdout.write(`${line(check)}\n`);
        throwIfDamaged(file, checks);
      });
    }
    try {
      const checks = await verifyImage(file);
      throwIfDamaged(file, checks);
      printEnvelope(okEnvelope("image verify", { path: file, checks }));
    } catch (error) {
      printEnvelope(errorEnvelope("image verify", error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

function line({ part, found, problem }: ImageCheck): string {
  return `${problem === null ? "ok     " : "DAMAGED"} ${part.padEnd(14)} ${problem ?? found}`;
}

function throwIfDamaged(file: string, checks: readonly ImageCheck[]): void {
  const problems = checks.flatMap(({ part, problem }) => (problem === null ? [] : `${part}: ${problem}`));
  if (problems.length > 0) throw imageInvalid(file, `${problems.join("; ")}; build or download it again`);
}
