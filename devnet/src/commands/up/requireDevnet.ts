import { GevulotError } from "gevulot-sdk";
import type { InferredOptionTypes } from "yargs";
import { type DevnetState, readState } from "../../up/stateFile.ts";
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
