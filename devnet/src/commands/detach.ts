import { spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { ensureStateDir } from "../up/stateDir.ts";
import { type DevnetState, readState } from "../up/stateFile.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_START_FAILED: { log: string };
  }
}

/** The parts have deadlines of their own, which speak first. */
const TIMEOUT_MS = 180_000;

/** Starts `up` as a process of its own that outlives this one, and waits until it is ready. */
export async function startDetached(stateDir: string, args: readonly string[]): Promise<DevnetState> {
  await ensureStateDir(stateDir);
  const logFile = join(stateDir, "up.log");
  const log = openSync(logFile, "w", 0o600);
  const own = args.filter((arg) => !/^--(detach|json)(=.*)?$/.test(arg));
  const child = spawn(process.execPath, [process.argv[1] as string, ...own], {
    detached: true,
    stdio: ["ignore", log, log, "ipc"],
  });
  const fail = (reason: string): GevulotError =>
    new GevulotError("DEVNET_START_FAILED", `${reason} Its log: ${logFile}`, { context: { log: logFile } });
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => {
      child.kill("SIGTERM");
      reject(
        fail(
          `The devnet was not ready within ${TIMEOUT_MS / 1_000} s; the last it said: ${lastLine(logFile)}.`,
        ),
      );
    }, TIMEOUT_MS);
    child.once("message", () => {
      clearTimeout(late);
      resolve();
    });
    child.once("exit", () => {
      clearTimeout(late);
      reject(fail(`The devnet did not start: ${lastLine(logFile).replace(/^error: /, "")}`));
    });
  });
  child.unref();
  const state = await readState(stateDir);
  if (state === null) throw fail("The devnet ended right after its start.");
  return state;
}

function lastLine(logFile: string): string {
  return readFileSync(logFile, "utf8").trimEnd().split("\n").at(-1) ?? "nothing";
}
