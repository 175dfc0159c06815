import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { GevulotError } from "gevulot-sdk";
import type { NodeOptionsInput } from "../options.ts";
import { createBoundedLog } from "./boundedLog.ts";
import { createOrderChannel, type NodeOrder } from "./nodeOrders.ts";
import { type NodeGo, type NodeReady, WAIT_FLAG } from "./nodeReady.ts";
import { sayWait } from "./sayWait.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    NODE_START_FAILED: { log: string; lastLine: string };
  }
}

export interface NodeProcess extends AsyncDisposable {
  readonly ready: NodeReady;
  readonly pid: number;
  readonly running: boolean;
  /** Sends a signal, and resolves when the process is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Throws `NODE_ORDER_FAILED`. */
  order(order: NodeOrder): Promise<void>;
}

export interface NodeProcessOptions {
  /** For what is said of it. */
  readonly name: string;
  readonly options: NodeOptionsInput;
  /** What is not known yet, and, as the database's password is in it, not for the list of processes. */
  readonly late: Promise<Omit<NodeGo, "type">>;
  readonly logFile: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** What is waited for. */
  readonly onProgress?: (message: string) => void;
  /** Each line that the node logs, a JSON object. */
  readonly onLine?: (line: string) => void;
  /** As soon as there is a process. */
  readonly onSpawn?: (pid: number) => void;
  /** It ended without having been told to. */
  readonly onExit?: (reason: string) => void;
}

const TOOL_VARIABLE = "GEVULOT_VHOST_DEVICE_VSOCK";
const NODE_CLI = fileURLToPath(new URL("../../bin/gevulot-node.js", import.meta.url));
const LOG_LIMIT_BYTES = 16 * 2 ** 20;
const MAX_LINE_CHARS = 16_384;
/** A node that stops kills its VMs first. */
const STOP_TIMEOUT_MS = 10_000;

/**
 * Starts `gevulot-node run` and waits until it is ready. It ends with this process, whichever way this process
 * ends: the channel between the two closes, and the node stops.
 */
export async function startNodeProcess(options: NodeProcessOptions): Promise<NodeProcess> {
  options.late.catch(() => {});
  options.signal?.throwIfAborted();
  const log = createBoundedLog(options.logFile, LOG_LIMIT_BYTES);
  const child = spawnNode(options);
  let lastLine = "";
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream as NodeJS.ReadableStream }).on("line", (text) => {
      const line = text.slice(0, MAX_LINE_CHARS);
      // The advice that follows an error says less than the error.
      if (!lastLine.startsWith("error: ")) lastLine = line;
      log.write(`${line}\n`);
      options.onLine?.(line);
    });
  }
  // Until it is ready, its end is the failure of the start and nobody else's news.
  const state = { running: true, wanted: false };
  const gone = new Promise<void>((resolve) => {
    const end = (reason: string): void => {
      if (!state.running) return;
      state.running = false;
      if (state.wanted) options.onExit?.(`${reason}: ${lastLine}`);
      resolve();
    };
    child.once("error", (error) => end(error.message));
    child.once("close", (code, signal) => end(`it ended with ${signal ?? `exit code ${code}`}`));
  });
  const kill = async (signal: NodeJS.Signals): Promise<void> => {
    state.wanted = false;
    child.kill(signal);
    const force = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await gone;
    clearTimeout(force);
    log.close();
  };
  try {
    const go: NodeGo = { type: "go", ...(await sooner(options.late, gone)) };
    // A process that is gone says so below.
    child.send(go, () => {});
    const ready = await sayWait(untilReady(child, gone, options), {
      what: `${options.name} to be ready`,
      lastLine: () => humanLine(lastLine),
      onProgress: options.onProgress,
    });
    state.wanted = true;
    return {
      ready,
      pid: child.pid as number,
      get running() {
        return state.running;
      },
      kill,
      order: createOrderChannel(child, gone).order,
      [Symbol.asyncDispose]: () => kill("SIGTERM"),
    };
  } catch (error) {
    await kill("SIGTERM");
    if (options.signal?.aborted || !(error instanceof NotReady)) throw error;
    throw new GevulotError(
      "NODE_START_FAILED",
      `${options.name} did not start (${(error as Error).message}): ${humanLine(lastLine)} Its log: ${options.logFile}`,
      { context: { log: options.logFile, lastLine }, cause: error },
    );
  }
}

function spawnNode({ options, onSpawn }: NodeProcessOptions): ChildProcess {
  // The devnet's variables are not the user's: an option in the environment must not reach the node by accident. Where
  // a tool of this machine is, is no option of a node.
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("GEVULOT_") || name === TOOL_VARIABLE),
  );
  const child = spawn(process.execPath, [NODE_CLI, "run", `--${WAIT_FLAG}`, ...flagsOf(options)], {
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    // In a process group of its own: a terminal's Ctrl-C reaches the devnet alone, and things stop in order.
    detached: true,
    env,
  });
  if (child.pid !== undefined) onSpawn?.(child.pid);
  return child;
}

/** The process's own failure, and not that of what it needs. */
class NotReady extends Error {}

async function sooner<T>(late: Promise<T>, gone: Promise<void>): Promise<T> {
  return Promise.race([
    late,
    gone.then((): never => {
      throw new NotReady("it ended");
    }),
  ]);
}

async function untilReady(
  child: ChildProcess,
  gone: Promise<void>,
  options: NodeProcessOptions,
): Promise<NodeReady> {
  const deadline = AbortSignal.timeout(options.timeoutMs);
  const signal = options.signal ? AbortSignal.any([deadline, options.signal]) : deadline;
  return new Promise((resolve, reject) => {
    child.on("message", (message: NodeReady) => {
      if (message.type === "ready") resolve(message);
    });
    gone.then(() => reject(new NotReady("it ended")));
    signal.addEventListener("abort", () => {
      const late = new NotReady(`it was not ready within ${options.timeoutMs / 1_000} s`);
      reject(options.signal?.aborted ? options.signal.reason : late);
    });
  });
}

function flagsOf(options: NodeOptionsInput): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === undefined || value === false ? [] : value === true ? [flag] : [`${flag}=${value}`];
  });
}

/** The message of a log line, or the line as it is. */
function humanLine(line: string): string {
  try {
    return `"${(JSON.parse(line) as { msg?: string }).msg}".`;
  } catch {
    return line.replace(/^error: /, "");
  }
}
