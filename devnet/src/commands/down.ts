import { resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import type { CommandModule, InferredOptionTypes } from "yargs";
import { type DevnetState, isRunning, readState } from "../up/stateFile.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "./envelope.ts";
import { EXIT_FAILURE, errorText } from "./reportError.ts";
import { summary } from "./summary.ts";
import { commonOptions } from "./upOptions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NOT_RUNNING: { stateDir: string };
    DEVNET_WONT_STOP: { pid: number };
  }
}

export type DevnetArgs = InferredOptionTypes<typeof commonOptions>;

const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 50;

export const downCommand: CommandModule<object, DevnetArgs> = {
  command: "down",
  describe: "Stop this folder's devnet; its state stays",
  builder: commonOptions,
  handler: (args) =>
    reportDevnet("down", args, async () => {
      const state = await readState(resolve(args["state-dir"]));
      if (state === null) {
        if (args.json) printEnvelope(okEnvelope("down", { stopped: false }));
        else process.stdout.write("no devnet runs here\n");
        return;
      }
      process.kill(state.pid, "SIGTERM");
      const giveUpAt = Date.now() + STOP_TIMEOUT_MS;
      while (isRunning(state)) {
        if (Date.now() > giveUpAt) {
          throw new GevulotError(
            "DEVNET_WONT_STOP",
            `Process ${state.pid} did not stop within ${STOP_TIMEOUT_MS / 1_000} s. End it with: kill -9 ${state.pid}`,
            { context: { pid: state.pid } },
          );
        }
        await delay(POLL_MS);
      }
      if (args.json) printEnvelope(okEnvelope("down", { stopped: true }));
      else process.stdout.write("stopped\n");
    }),
};

export const statusCommand: CommandModule<object, DevnetArgs> = {
  command: "status",
  describe: "Say whether a devnet runs in this folder, and where it listens",
  builder: commonOptions,
  handler: (args) =>
    reportDevnet("status", args, async () => {
      const state = await requireDevnet(resolve(args["state-dir"]));
      if (args.json) printEnvelope(okEnvelope("status", state.data, state.warnings));
      else process.stdout.write(`${summary(state.data, state.warnings, null)}\n`);
    }),
};

export async function reportDevnet(
  command: string,
  args: DevnetArgs,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (args.json) printEnvelope(errorEnvelope(command, error));
    else process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = EXIT_FAILURE;
  }
}

/** The devnet that runs in a folder. Throws `DEVNET_NOT_RUNNING`. */
export async function requireDevnet(stateDir: string): Promise<DevnetState> {
  const state = await readState(stateDir);
  if (state !== null) return state;
  throw new GevulotError("DEVNET_NOT_RUNNING", "No devnet runs here. Start one with: gevulot-devnet up", {
    context: { stateDir },
  });
}
