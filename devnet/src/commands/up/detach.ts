import { type ChildProcess, spawn } from "node:child_process";
import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { ensureStateDir } from "../../up/stateDir.ts";
import { type DevnetState, readState } from "../../up/stateFile.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_START_FAILED: { log: string };
  }
}

/** The parts have deadlines of their own, which speak first. */
const TIMEOUT_MS = 180_000;
const LOOK_MS = 200;

/** Of `up`'s words: what concerns only the command that starts it. */
const OWN_WORDS = /^(-d|-q|-dq|-qd|--(detach|json|quiet)(=.*)?)$/;

export interface DetachOptions {
  readonly stateDir: string;
  /** As given to `up`, itself first. */
  readonly words: readonly string[];
  readonly cwd: string;
  readonly onProgress?: (message: string) => void;
}

/** Starts `up` as a process of its own that outlives this one, and waits until it is ready. */
export async function startDetached(options: DetachOptions): Promise<DevnetState> {
  const { stateDir, words, cwd } = options;
  await ensureStateDir(stateDir);
  const logFile = join(stateDir, "up.log");
  const log = openSync(logFile, "w", 0o600);
  const child = spawn(
    process.execPath,
    [process.argv[1] as string, ...words.filter((word) => !OWN_WORDS.test(word))],
    { cwd, detached: true, stdio: ["ignore", log, log, "ipc"] },
  );
  const fail = (reason: string): GevulotError =>
    new GevulotError("DEVNET_START_FAILED", `${reason} Its log: ${logFile}`, { context: { log: logFile } });
  await untilUp(child, logFile, { ...options, fail });
  child.unref();
  const state = await readState(stateDir);
  if (state === null) throw fail("The devnet ended right after its start.");
  return state;
}

/** Says meanwhile what the other process says. */
async function untilUp(
  child: ChildProcess,
  logFile: string,
  { onProgress, fail }: DetachOptions & { readonly fail: (reason: string) => GevulotError },
): Promise<void> {
  let said = "";
  const look = setInterval(() => {
    const line = lastLine(logFile);
    if (line !== said && line.startsWith("… ")) onProgress?.(line.slice(2));
    said = line;
  }, LOOK_MS);
  let late: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      late = setTimeout(() => {
        child.kill("SIGTERM");
        const seconds = TIMEOUT_MS / 1_000;
        reject(fail(`The devnet was not ready within ${seconds} s; the last it said: ${lastLine(logFile)}.`));
      }, TIMEOUT_MS);
      child.once("message", () => resolve());
      child.once("exit", () => {
        reject(fail(`The devnet did not start: ${lastError(logFile)}`));
      });
    });
  } finally {
    clearInterval(look);
    clearTimeout(late);
  }
}

/** An error may have several lines. */
function lastError(logFile: string): string {
  const text = readFileSync(logFile, "utf8").trimEnd();
  return /^error: ([\s\S]*)$/m.exec(text)?.[1] ?? lastLine(logFile);
}

function lastLine(logFile: string): string {
  return readFileSync(logFile, "utf8").trimEnd().split("\n").at(-1) ?? "nothing";
}
