import { resolve } from "node:path";
import type { Argv, CommandModule, InferredOptionTypes, Options } from "yargs";
import { examine } from "../doctor/examine.ts";
import type { Finding } from "../doctor/finding.ts";
import { report } from "./terminal/report.ts";
import { EXIT_FAILURE } from "./terminal/reportError.ts";
import { isFancy } from "./terminal/terminal.ts";
import { commonOptions } from "./up/upOptions.ts";

const doctorOptions = {
  ...commonOptions,
  "qemu-path": {
    type: "string",
    default: "qemu-system-x86_64",
    requiresArg: true,
    describe: "The QEMU program",
  },
  "gpu-devices": {
    type: "string",
    default: "",
    requiresArg: true,
    describe: "PCI slots of GPUs for tasks, comma separated; default all that compute",
  },
} as const satisfies Record<string, Options>;

type DoctorArgs = InferredOptionTypes<typeof doctorOptions>;

export const doctorCommand: CommandModule<object, DoctorArgs> = {
  command: "doctor",
  describe: "Look at what a devnet and a node need of this machine, and say what mends it",
  builder: (yargs: Argv) =>
    yargs
      .options(doctorOptions)
      .check(({ "gpu-devices": slots }) => {
        const wrong = slotsOf(slots).find((slot) => !SLOT.test(slot));
        return wrong === undefined || `--gpu-devices: "${wrong}" is no PCI slot; give one like 0000:01:00.0.`;
      })
      .example("$0 doctor", "exits with 1 where something needed is missing")
      .example("$0 doctor --gpu-devices 0000:01:00.0", "of one card") as Argv<DoctorArgs>,
  handler: (args) =>
    report("doctor", args, async () => {
      const findings = await examine({
        qemuPath: args["qemu-path"],
        stateDir: resolve(args["state-dir"]),
        gpuDevices: slotsOf(args["gpu-devices"]),
      });
      const count = (state: Finding["state"]) => findings.filter((each) => each.state === state).length;
      const counts = { ok: count("ok"), warn: count("warn"), fail: count("fail") };
      if (counts.fail > 0) process.exitCode = EXIT_FAILURE;
      const lines = findingLines(findings, isFancy(process.stdout, process.env));
      return { lines: [...lines, "", verdict(counts)], data: { findings, counts } };
    }),
};

const SLOT = /^(?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}(?:\.[0-7])?$/i;

function slotsOf(text: string): string[] {
  return text.split(",").filter((slot) => slot !== "");
}

const MARKS = { ok: "ok", warn: "warn", fail: "FAIL" } as const;
const COLOURS = { ok: 32, warn: 33, fail: 31 } as const;

function findingLines(findings: readonly Finding[], isColoured: boolean): string[] {
  const width = Math.max(...findings.map(({ check }) => check.length));
  return findings.flatMap(({ check, state, text, mend }) => {
    const mark = MARKS[state].padEnd(4);
    const shown = isColoured ? `\u001b[${COLOURS[state]}m${mark}\u001b[39m` : mark;
    const line = `${shown}  ${check.padEnd(width)}  ${text}`;
    return mend === null ? [line] : [line, `${" ".repeat(width + 8)}→ ${mend}`];
  });
}

function verdict({ warn, fail }: { readonly warn: number; readonly fail: number }): string {
  if (fail > 0) return `${fail} of these must be mended before a devnet runs here.`;
  return warn === 0 ? "Everything is there." : `A devnet runs here; ${warn} of these would make it better.`;
}
