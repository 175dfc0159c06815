import { GevulotError } from "gevulot-sdk";
import type { Argv, CommandModule } from "yargs";
import { checkProgram, type ProgramCheck } from "../../image/check/checkProgram.ts";
import { checkGpuImage, type GpuFinding, isUsable } from "../../image/gpu/checkGpu.ts";
import { type Envelope, errorEnvelope, okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import { EXIT_FAILURE, reportErrors } from "../terminal/reportError.ts";
import { stoppable } from "../terminal/stoppable.ts";
import { readManifest } from "./build.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    IMAGE_LACKS: { readonly program: string; readonly missing: readonly string[] };
    CHECK_INCOMPLETE: {
      readonly program: string;
      readonly exitCode: number | null;
      readonly timedOut: boolean;
    };
  }
}

interface Arguments {
  readonly program: string;
  readonly config?: string | undefined;
  readonly "working-dir"?: string | undefined;
  readonly workspace?: string | undefined;
  readonly "timeout-seconds": number;
  readonly gpu: boolean;
  readonly json: boolean;
  readonly "--"?: readonly unknown[];
}

const one = { type: "string", requiresArg: true } as const;
const COMMAND = "image check";

export const imageCheckCommand: CommandModule<object, Arguments> = {
  command: "check <program>",
  describe: "Run a program on this machine and say which files it opens that its image lacks",
  builder: (yargs: Argv) =>
    yargs
      .parserConfiguration({ "populate--": true })
      .usage("$0 image check <program> [options] [-- arguments]")
      .positional("program", {
        type: "string",
        demandOption: true,
        describe: "A program as for image build, or an image",
      })
      .option("config", { ...one, alias: "c", describe: "Manifest (JSON)" })
      .option("working-dir", {
        ...one,
        describe: "Where the manifest's files are; default the current folder",
      })
      .option("workspace", { ...one, describe: "A folder with a task.json, for a program that takes a task" })
      .option("timeout-seconds", {
        type: "number",
        requiresArg: true,
        default: 60,
        describe: "Then it is stopped",
      })
      .option("gpu", {
        type: "boolean",
        default: false,
        describe: "Say what an image lacks for a GPU; nothing is run",
      })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .check((argv) => (argv["timeout-seconds"] as number) > 0 || "--timeout-seconds must be more than 0.")
      .example("$0 image check ./prover -c prover.json -- --size 2KiB", ""),
  handler: async (given) => {
    const { program, json } = given;
    if (given.gpu) {
      const find = () => stoppable((signal) => checkGpuImage(program, signal));
      const show = (findings: readonly GpuFinding[]) => findings.map(gpuLine);
      await tell({ json, find, show, problem: (findings) => gpuProblem(program, findings) }, (findings) => ({
        findings,
      }));
    } else {
      await tell({
        json,
        find: () => check(given),
        show: checkLines,
        problem: (found) => problemOf(program, found),
      });
    }
  },
};

interface Check<Found> {
  readonly json: boolean;
  readonly find: () => Promise<Found>;
  readonly show: (found: Found) => readonly string[];
  /** Why the command fails, though it found out what was asked. */
  readonly problem: (found: Found) => GevulotError | null;
}

async function tell<Found>(
  { json, find, show, problem }: Check<Found>,
  data: (found: Found) => unknown = (found) => found,
): Promise<void> {
  if (!json) {
    return reportErrors(async () => {
      const found = await find();
      process.stdout.write(`${show(found).join("\n")}\n`);
      const error = problem(found);
      if (error !== null) throw error;
    });
  }
  let envelope: Envelope;
  try {
    const found = await find();
    const error = problem(found);
    envelope =
      error === null
        ? okEnvelope(COMMAND, data(found))
        : { ...errorEnvelope(COMMAND, error), data: data(found) };
  } catch (error) {
    envelope = errorEnvelope(COMMAND, error);
  }
  if (envelope.status === "error") process.exitCode = EXIT_FAILURE;
  printEnvelope(envelope);
}

function gpuProblem(program: string, findings: readonly GpuFinding[]): GevulotError | null {
  if (isUsable(findings)) return null;
  const missing = findings.filter(({ state }) => state !== "ok").map(({ part }) => part);
  const message = `${program} can't use a GPU: ${missing.join(", ")}. Mend what is shown.`;
  return new GevulotError("IMAGE_LACKS", message, { context: { program, missing } });
}

function gpuLine({ part, state, text }: GpuFinding): string {
  return `${state.padEnd(8)} ${part.padEnd(18)} ${text}`;
}

async function check(given: Arguments): Promise<ProgramCheck> {
  const args = given["--"]?.map(String);
  const manifest = given.config === undefined ? {} : await readManifest(given.config);
  return stoppable((signal) =>
    checkProgram({
      program: given.program,
      manifest,
      libraryPath: process.env.LD_LIBRARY_PATH,
      runArgs: args && args.length > 0 ? args : undefined,
      workingDir: given["working-dir"],
      workspaceDir: given.workspace,
      timeoutMs: given["timeout-seconds"] * 1_000,
      signal,
    }),
  );
}

function problemOf(program: string, found: ProgramCheck): GevulotError | null {
  const { libraries, programs, data, exitCode, timedOut } = found;
  const missing = [...libraries, ...programs, ...data];
  if (missing.length > 0) {
    const message = `The image lacks ${missing.length} of the files that ${program} opens. Add what is shown to its manifest.`;
    return new GevulotError("IMAGE_LACKS", message, { context: { program, missing } });
  }
  if (exitCode === 0) return null;
  const message = `${program} ${howItEnded(found)}: its image may lack more than it opened until then. Give it the arguments or the --workspace with which it succeeds, or more --timeout-seconds.`;
  return new GevulotError("CHECK_INCOMPLETE", message, { context: { program, exitCode, timedOut } });
}

function howItEnded({ exitCode, timedOut }: ProgramCheck): string {
  if (timedOut) return "was stopped after its time";
  return exitCode === null ? "was ended by a signal" : `ended with exit code ${exitCode}`;
}

function checkLines(found: ProgramCheck): string[] {
  return [
    `It opened ${found.openedFiles} files (seen by ${found.by}) and ${howItEnded(found)}.`,
    ...(found.by === "loader"
      ? ["note: strace is not installed, or may not trace here: libraries were seen, data was not."]
      : []),
    ...found.notes.map((note) => `note: ${note}`),
    ...found.libraries.map((path) => `missing library  ${path}`),
    ...found.programs.map((path) => `missing program  ${path}`),
    ...found.data.map((path) => `missing file     ${path}`),
    ...found.written.map(
      (path) => `written          ${path}  (gone with the machine; results go to the workspace)`,
    ),
    ...(found.manifest
      ? ["for the manifest:", ...manifestText(found.manifest)]
      : [found.exitCode === 0 ? "nothing is missing" : "nothing is missing so far"]),
  ];
}

function manifestText(lines: object): string[] {
  const entries = Object.entries(lines);
  return entries.map(([key, value], at) => {
    const comma = at + 1 < entries.length ? "," : "";
    return `  ${JSON.stringify(key)}: ${JSON.stringify(value)}${comma}`;
  });
}
