import { type ChildProcess, spawn } from "node:child_process";
import { GevulotShimError } from "./errors.ts";

export interface Command {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** Keeps so much of the standard output, and stops the program that writes more; `null` lets it pass to ours. */
  readonly maxStdoutBytes: number | null;
}

export interface CommandEnd {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: Uint8Array;
  readonly stdoutTooLong: boolean;
  readonly stderrTail: string;
}

const STDERR_TAIL_BYTES = 4096;
/** From the program's exit until its output counts as complete, though something that it started holds it open. */
const LAST_WORDS_MS = 1000;
const FORWARDED_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR2"] as const;

/**
 * Runs a program to its end. Its standard error goes to ours, and its end is kept; signals that we get it gets too.
 * @throws GevulotShimError COMMAND_NOT_STARTED
 */
export async function runCommand(command: Command): Promise<CommandEnd> {
  const { program, args, env, maxStdoutBytes } = command;
  const child = spawn(program, args, {
    env,
    stdio: ["ignore", maxStdoutBytes === null ? "inherit" : "pipe", "pipe"],
  });
  const stopForwarding = forwardSignals(child);
  const stdout = keepHead(child, maxStdoutBytes ?? 0);
  const stderr = keepTail(child);
  try {
    const [exitCode, signal] = await ended(child, program);
    return { exitCode, signal, ...stdout(), stderrTail: stderr() };
  } finally {
    stopForwarding();
  }
}

function ended(child: ChildProcess, program: string): Promise<[number | null, NodeJS.Signals | null]> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "ENOENT" ? "there is no such program" : (cause.code ?? cause.message);
      reject(new GevulotShimError("COMMAND_NOT_STARTED", `${program} can't be started: ${why}`, cause));
    });
    // The exit alone is too early: what it wrote last may still be in the pipe. What it left running may hold the pipe.
    child.once("close", (code, signal) => resolve([code, signal]));
    child.once("exit", (code, signal) => setTimeout(() => resolve([code, signal]), LAST_WORDS_MS));
  });
}

function keepHead(child: ChildProcess, maxBytes: number) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const stop = () => {
    child.kill("SIGKILL");
    // What it started may go on writing.
    child.stdout?.destroy();
    child.stderr?.destroy();
  };
  child.stdout?.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBytes) chunks.push(chunk);
    else stop();
  });
  return () => ({ stdout: Buffer.concat(chunks), stdoutTooLong: bytes > maxBytes });
}

function keepTail(child: ChildProcess): () => string {
  let tail: Buffer = Buffer.alloc(0);
  child.stderr?.on("data", (chunk: Buffer) => {
    process.stderr.write(chunk);
    tail = Buffer.concat([tail, chunk]).subarray(-STDERR_TAIL_BYTES);
  });
  return () => tail.toString("utf8");
}

function forwardSignals(child: ChildProcess): () => void {
  const forwards = FORWARDED_SIGNALS.map((signal) => [signal, () => void child.kill(signal)] as const);
  for (const [signal, forward] of forwards) process.on(signal, forward);
  return () => {
    for (const [signal, forward] of forwards) process.off(signal, forward);
  };
}
