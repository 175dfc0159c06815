import { resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { pino } from "pino";
import type { Argv, CommandModule } from "yargs";
import { errorEnvelope, okEnvelope, printEnvelope } from "./envelope.ts";
import { EXIT_FAILURE, reportErrors } from "./reportError.ts";
import { type AloneResult, runAlone } from "./runAlone.ts";
import { runLine } from "./runLine.ts";
import { untilSignal } from "./untilSignal.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TASK_ALONE_FAILED: { readonly reason: string };
  }
}

interface Arguments {
  readonly program: string;
  readonly task?: string | undefined;
  readonly workspace: string;
  readonly provider: "auto" | "qemu" | "process";
  readonly "qemu-path": string;
  readonly "mem-mib": number;
  readonly cpus: number;
  readonly "timeout-seconds": number;
  readonly json: boolean;
}

const COMMAND = "task run";

const taskRunCommand: CommandModule<object, Arguments> = {
  command: "run <program>",
  describe: "Run one task without a node",
  builder: (yargs: Argv) =>
    yargs
      .positional("program", {
        type: "string",
        demandOption: true,
        describe: "An image, or a program as for image build",
      })
      .option("workspace", {
        type: "string",
        requiresArg: true,
        demandOption: true,
        describe: "Folder of the input files; gets task_result.json and the output files",
      })
      .option("task", {
        type: "string",
        requiresArg: true,
        describe: "The task (JSON: id, args, files); default task.json of the workspace",
      })
      .option("provider", {
        choices: ["auto", "qemu", "process"] as const,
        default: "auto" as const,
        describe: "auto: QEMU; process: as a process of this machine",
      })
      .option("qemu-path", {
        type: "string",
        requiresArg: true,
        default: "qemu-system-x86_64",
        describe: "QEMU",
      })
      .option("mem-mib", { type: "number", requiresArg: true, default: 512, describe: "Memory, MiB" })
      .option("cpus", { type: "number", requiresArg: true, default: 1, describe: "Processors" })
      .option("timeout-seconds", {
        type: "number",
        requiresArg: true,
        default: 3600,
        describe: "The program may take so long",
      })
      .option("json", { type: "boolean", default: false, describe: "One line of JSON" })
      .check((argv) => {
        for (const name of ["mem-mib", "cpus"] as const) {
          if (!Number.isInteger(argv[name]) || (argv[name] as number) < 1)
            return `--${name} must be a whole number from 1 up.`;
        }
        return (argv["timeout-seconds"] as number) > 0 || "--timeout-seconds must be more than 0.";
      })
      .example("$0 task run prover.mjs --workspace ws", "reads ws/task.json, writes ws/task_result.json"),
  handler: async (given) => {
    if (!given.json) return reportErrors(async () => print(given, await run(given)));
    try {
      const result = await run(given);
      if (result.failure) throw failed(result);
      printEnvelope(okEnvelope(COMMAND, result));
    } catch (error) {
      printEnvelope(errorEnvelope(COMMAND, error));
      process.exitCode = EXIT_FAILURE;
    }
  },
};

async function run(given: Arguments): Promise<AloneResult> {
  const stop = new AbortController();
  void untilSignal().then((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  const say = (line: string | null) => void (line === null || process.stderr.write(`${line}\n`));
  const log = pino(
    { level: "warn", timestamp: pino.stdTimeFunctions.isoTime },
    { write: (json: string) => say(runLine(json)) },
  );
  return runAlone(
    { log },
    {
      program: resolve(given.program),
      taskPath: given.task,
      workspaceDir: resolve(given.workspace),
      provider: given.provider,
      qemuPath: given["qemu-path"],
      vsock: { vhostDevicePath: process.env.GEVULOT_VHOST_DEVICE_VSOCK || undefined },
      memMib: given["mem-mib"],
      cpus: given.cpus,
      deadlineMs: given["timeout-seconds"] * 1_000,
      signal: stop.signal,
      onProgress: (message) => given.json || say(`${message} …`),
    },
  );
}

function failed({ failure }: AloneResult): GevulotError {
  const reason = `${failure?.code}: ${failure?.message}`;
  return new GevulotError("TASK_ALONE_FAILED", reason, { context: { reason } });
}

function print({ workspace }: Arguments, result: AloneResult): void {
  if (result.consoleTail) process.stderr.write(`console:\n${result.consoleTail.trimEnd()}\n`);
  if (result.failure) throw failed(result);
  const lines = [
    `result     ${result.dataBytes} bytes, in ${resolve(workspace, "task_result.json")}`,
    `ran        ${(result.tookMs / 1_000).toFixed(1)} s (${result.provider}, ${result.accelerator}, VSOCK: ${result.vsock})`,
    ...result.files.map(({ vmPath, checksum }) => `file       ${vmPath} ${checksum}`),
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
}

export const taskCommand: CommandModule = {
  command: "task",
  describe: "Run a program or an image alone",
  builder: (yargs) => yargs.command(taskRunCommand).demandCommand(1, "Say what to do: task run.").strict(),
  handler: () => {},
};
