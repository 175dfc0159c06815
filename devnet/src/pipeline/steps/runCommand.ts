import { spawn } from "node:child_process";
import { stepCancelled, stepFailed } from "./stepErrors.ts";

export interface CommandOptions {
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

const STDERR_CHARS = 4_096;
const KILL_AFTER_MS = 5_000;
/** For what was written before the end, where somebody else holds the pipes. */
const PIPES_MS = 2_000;

/** Runs a step's command to its end. Throws `STEP_FAILED` with what it said last, and `STEP_CANCELLED` where it was aborted. */
export async function runCommand(command: readonly string[], options: CommandOptions): Promise<void> {
  const [program, ...args] = command;
  const shown = command.join(" ");
  if (options.signal.aborted) throw stepCancelled(shown);
  await new Promise<void>((resolve, reject) => {
    const child = spawn(program!, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
      // A group of its own, so that what it started ends with it.
      detached: true,
    });
    let said = "";
    const keep = (text: string): void => {
      said = (said + text).slice(-STDERR_CHARS);
    };
    child.stdout.setEncoding("utf8").on("data", keep);
    child.stderr.setEncoding("utf8").on("data", keep);
    const kill = (signal: NodeJS.Signals): void => {
      try {
        if (child.pid !== undefined) process.kill(-child.pid, signal);
      } catch {
        // It is gone already.
      }
    };
    let killing: NodeJS.Timeout | undefined;
    let closing: NodeJS.Timeout | undefined;
    const abort = (): void => {
      kill("SIGTERM");
      killing = setTimeout(kill, KILL_AFTER_MS, "SIGKILL");
    };
    options.signal.addEventListener("abort", abort, { once: true });
    const end = (settle: () => void): void => {
      clearTimeout(killing);
      clearTimeout(closing);
      options.signal.removeEventListener("abort", abort);
      kill("SIGKILL");
      settle();
    };
    child.once("error", (error) =>
      end(() => reject(stepFailed(shown, `can't be started (${error.message})`, "", error))),
    );
    // What it started and left running would hold the pipes, and so the step.
    child.once("exit", () => {
      kill("SIGKILL");
      closing = setTimeout(() => {
        child.stdout.destroy();
        child.stderr.destroy();
      }, PIPES_MS);
    });
    child.once("close", (code, signal) =>
      end(() => {
        if (options.signal.aborted) reject(stepCancelled(shown));
        else if (code === 0) resolve();
        else
          reject(
            stepFailed(
              shown,
              code === null ? `was ended by ${signal}` : `ended with exit code ${code}`,
              said.trim(),
            ),
          );
      }),
    );
  });
}
