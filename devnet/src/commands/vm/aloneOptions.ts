import { resolve } from "node:path";
import { type Logger, pino } from "pino";
import type { Argv } from "yargs";
import { runLine } from "../runLine.ts";
import { untilSignal } from "../terminal/untilSignal.ts";
import type { AloneOptions } from "./aloneVm.ts";
import { volumesDirectoryOption } from "./volume.ts";

/** What the commands take that run one program without a node. */
export interface AloneArguments {
  readonly program: string;
  readonly provider: "auto" | "qemu" | "process";
  readonly "qemu-path": string;
  readonly "mem-mib"?: number | undefined;
  readonly cpus?: number | undefined;
  readonly "gpu-devices"?: string | undefined;
  readonly "timeout-seconds": number;
  readonly "volumes-directory": string;
  readonly json: boolean;
}

const one = { type: "string", requiresArg: true } as const;
const number = { type: "number", requiresArg: true } as const;

export function aloneOptions<T>(yargs: Argv<T>) {
  return volumesDirectoryOption(yargs)
    .positional("program", {
      type: "string",
      demandOption: true,
      describe: "An image, or a program as for image build",
    })
    .option("provider", {
      choices: ["auto", "qemu", "process"] as const,
      default: "auto" as const,
      describe: "auto: QEMU; process: as a process of this machine",
    })
    .option("qemu-path", { ...one, default: "qemu-system-x86_64", describe: "QEMU" })
    .option("mem-mib", { ...number, describe: "Memory, MiB; default the image's, or 512" })
    .option("cpus", { ...number, describe: "Processors; default the image's, or 1" })
    .option("gpu-devices", {
      ...one,
      describe: "GPUs of the VM, by their PCI addresses, with commas; 0000:01:00.0 as lspci -D shows it",
    })
    .option("timeout-seconds", {
      ...number,
      default: 3600,
      describe: "The program may take so long, or as long as its image says if that is less",
    })
    .check((argv) => {
      for (const name of ["mem-mib", "cpus"] as const) {
        const value = argv[name];
        if (value !== undefined && (!Number.isInteger(value) || value < 1))
          return `--${name} must be a whole number from 1 up.`;
      }
      return argv["timeout-seconds"] > 0 || "--timeout-seconds must be more than 0.";
    });
}

export interface PreparedAlone {
  readonly log: Logger;
  readonly say: (line: string | null) => void;
  readonly options: AloneOptions;
}

/** What those commands do alike: they end by a signal, and say on stderr what goes on. */
export function prepareAlone(given: AloneArguments): PreparedAlone {
  const stop = new AbortController();
  void untilSignal().then((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  // `vm run … | head`
  process.stdout.on("error", () => stop.abort(new Error("nobody reads its output any more")));
  const say = (line: string | null): void => void (line === null || process.stderr.write(`${line}\n`));
  const log: Logger = pino(
    { level: "warn", timestamp: pino.stdTimeFunctions.isoTime },
    { write: (json: string) => say(runLine(json)) },
  );
  const options = {
    program: resolve(given.program),
    provider: given.provider,
    qemuPath: given["qemu-path"],
    vsock: { vhostDevicePath: process.env.GEVULOT_VHOST_DEVICE_VSOCK || undefined },
    memMib: given["mem-mib"],
    cpus: given.cpus,
    gpuDevices: given["gpu-devices"]?.split(",").map((address) => address.trim()) ?? [],
    volumesDir: resolve(given["volumes-directory"]),
    deadlineMs: given["timeout-seconds"] * 1_000,
    signal: stop.signal,
    onProgress: (message: string): void => void (given.json || say(`${message} …`)),
  };
  return { log, say, options };
}
