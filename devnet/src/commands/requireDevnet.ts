import { GevulotError } from "gevulot-sdk";
import type { InferredOptionTypes } from "yargs";
import { type DevnetState, readState } from "../up/stateFile.ts";
import { errorEnvelope, printEnvelope } from "./envelope.ts";
import { EXIT_FAILURE, errorText } from "./reportError.ts";
import type { commonOptions } from "./upOptions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NOT_RUNNING: { stateDir: string };
  }
}

export type DevnetArgs = InferredOptionTypes<typeof commonOptions>;

/** The devnet that runs in a folder. Throws `DEVNET_NOT_RUNNING`. */
export async function requireDevnet(stateDir: string): Promise<DevnetState> {
  const state = await readState(stateDir);
  if (state !== null) return state;
  throw new GevulotError(
    "DEVNET_NOT_RUNNING",
    `No devnet runs here (${stateDir}). Start one with: gevulot-devnet up`,
    { context: { stateDir } },
  );
}

/** Runs a command that prints for itself; what it throws is printed, and sets the exit code. */
export async function reportDevnet(
  command: string,
  args: { readonly json: boolean },
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
