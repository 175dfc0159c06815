import { spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { GevulotError } from "gevulot-sdk";
import { isElf, parseElf } from "../elf.ts";
import { createStraceReader, type OpenedFile } from "./straceLines.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    OBSERVE_FAILED: { readonly program: string; readonly reason: string };
  }
}

export interface ObserveOptions {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  readonly timeoutMs: number;
  /** Default: strace where it is installed and may trace, else the loader. */
  readonly by?: "strace" | "loader" | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Observation {
  /** What saw it: the loader sees libraries only. */
  readonly by: "strace" | "loader";
  readonly opened: readonly OpenedFile[];
  /** How the program ended; null where it was stopped after its time. */
  readonly exitCode: number | null;
  readonly timedOut: boolean;
}

const MAX_OPENED = 100_000;
const STRACE = [
  "-f",
  "-qq",
  "-y",
  "-s",
  "4096",
  "-e",
  "trace=open,openat,openat2,execve",
  "-e",
  "signal=none",
];

/**
 * Runs a program on this machine and notes which files it opens. What it says goes to our standard error.
 *
 * @throws GevulotError `OBSERVE_FAILED`
 */
export async function observeProgram(options: ObserveOptions): Promise<Observation> {
  const folder = await mkdtemp(join(tmpdir(), "gevulot-check-"));
  try {
    const log = join(folder, "log");
    let problem = "strace is not installed (apt-get install strace)";
    if (options.by !== "loader") {
      const end = await run("strace", [...STRACE, "-o", log, options.program, ...options.args], options, {});
      const opened = await readStrace(log, options.workingDir);
      if (end !== "missing" && opened.length > 0) return { by: "strace", opened, ...end };
      // It sees at least how the program is started.
      if (end !== "missing") problem = "strace may not trace here (in a container: --cap-add SYS_PTRACE)";
    }
    await requireLoader(options, problem);
    const env = { LD_DEBUG: "files", LD_DEBUG_OUTPUT: log };
    const end = await run(options.program, options.args, options, env);
    if (end === "missing") throw failed(options.program, "it can't be started");
    return { by: "loader", opened: await readLoaderLogs(folder), ...end };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function failed(program: string, reason: string): GevulotError {
  return new GevulotError("OBSERVE_FAILED", `${program} can't be observed: ${reason}.`, {
    context: { program, reason },
  });
}

/** The loader speaks for programs with shared libraries only. */
async function requireLoader({ program, by }: ObserveOptions, problem: string): Promise<void> {
  const bytes = await readFile(program);
  const isDynamic = isElf(bytes) && parseElf(bytes, program).interpreter !== undefined;
  if (by === "strace") throw failed(program, problem);
  if (!isDynamic) throw failed(program, `${problem}, and a program without shared libraries needs it`);
}

type End = Pick<Observation, "exitCode" | "timedOut">;

function run(
  command: string,
  args: readonly string[],
  { env, workingDir, timeoutMs, program, signal }: ObserveOptions,
  more: Readonly<Record<string, string>>,
): Promise<End | "missing"> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd: workingDir,
      env: { PATH: process.env.PATH, ...env, ...more },
      stdio: ["ignore", 2, 2],
      detached: true,
    });
    let timedOut = false;
    // The whole group: what a tracer leaves behind would go on.
    const stop = () => {
      if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    };
    const timer = setTimeout(() => {
      timedOut = true;
      stop();
    }, timeoutMs);
    signal?.addEventListener("abort", stop, { once: true });
    const done = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    };
    child.once("error", (error: NodeJS.ErrnoException) => {
      done();
      if (error.code === "ENOENT") resolve("missing");
      else reject(failed(program, error.message));
    });
    child.once("close", (exitCode) => {
      done();
      if (signal?.aborted) reject(signal.reason);
      else resolve({ exitCode, timedOut });
    });
  });
}

async function readStrace(log: string, workingDir: string): Promise<OpenedFile[]> {
  const read = createStraceReader(workingDir);
  const opened = new Map<string, OpenedFile>();
  if (!(await stat(log).catch(() => null))) return [];
  for await (const line of createInterface({ input: createReadStream(log) })) {
    const file = read(line);
    if (file === null || opened.size > MAX_OPENED) continue;
    // Read after it was written it is the program's own.
    if (!opened.has(file.path)) opened.set(file.path, file);
  }
  return [...opened.values()];
}

/** A file for each process. */
async function readLoaderLogs(folder: string): Promise<OpenedFile[]> {
  const opened = new Map<string, OpenedFile>();
  for (const name of await readdir(folder)) {
    const text = await readFile(join(folder, name), "utf8");
    for (const [, path = ""] of text.matchAll(/calling init: (\/.*)$/gm)) {
      opened.set(path, { path, realPath: path, use: "read" });
    }
  }
  return [...opened.values()];
}
