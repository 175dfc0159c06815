import { safeText } from "gevulot-sdk/node";
import type { Argv, CommandModule } from "yargs";
import { imageInvalid } from "../../image/descriptor.ts";
import { MOUNTS } from "../../image/nanos/verifyNanos.ts";
import { type ImageCheck, verifyImage } from "../../image/verifyImage.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import { EXIT_FAILURE, reportErrors } from "../terminal/reportError.ts";

interface Arguments {
  readonly file: string;
  readonly "allow-unmounted": boolean;
  readonly json: boolean;
}

export const imageVerifyCommand: CommandModule<object, Arguments> = {
  command: "verify <file>",
  describe: "Read all of an image and say whether it is as it was built, and what is damaged",
  builder: (yargs: Argv) =>
    yargs
      .positional("file", { type: "string", demandOption: true, describe: "An image" })
      .option("allow-unmounted", {
        type: "boolean",
        default: false,
        describe:
          "A Nanos image need not mount the node's share, as a node with --allow-unmounted-images takes it",
      })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .example("$0 image verify prover.img", "exit code 1, and where, if it is damaged"),
  handler: async ({ file, "allow-unmounted": isAllowed, json }) => {
    if (!json) {
      return reportErrors(async () => {
        const checks = permit(await verifyImage(file), isAllowed);
        for (const check of checks) process.stdout.write(`${safeText(line(check))}\n`);
        throwIfDamaged(file, checks);
      });
    }
    try {
      const checks = permit(await verifyImage(file), isAllowed);
      throwIfDamaged(file, checks);
      printEnvelope(okEnvelope("image verify", { path: file, checks }));
    } catch (error) {
      printEnvelope(errorEnvelope("image verify", error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

/** Said, and no damage. */
function permit(checks: readonly ImageCheck[], isAllowed: boolean): readonly ImageCheck[] {
  return checks.map((check) =>
    check.part === MOUNTS && check.problem !== null && isAllowed
      ? { ...check, found: `${check.found || "none"}: ${check.problem}`, problem: null }
      : check,
  );
}

function line({ part, found, problem }: ImageCheck): string {
  const state = problem === null ? "ok     " : part === MOUNTS ? "REFUSED" : "DAMAGED";
  return `${state} ${part.padEnd(14)} ${problem ?? found}`;
}

function throwIfDamaged(file: string, checks: readonly ImageCheck[]): void {
  const problems = checks.flatMap(({ part, problem }) => (problem === null ? [] : `${part}: ${problem}`));
  if (problems.length > 0) throw imageInvalid(file, `${problems.join("; ")}; build or download it again`);
}
