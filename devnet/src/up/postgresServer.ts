import { type ChildProcess, execFile } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { GevulotError } from "gevulot-sdk";
import { createBoundedLog } from "./boundedLog.ts";
import { type PostgresAccount, spawnAt } from "./postgresAccount.ts";
import { sayWait } from "./sayWait.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_PORT_TAKEN: { readonly port: number };
    POSTGRES_START_FAILED: { readonly port: number; readonly log: readonly string[] };
  }
}

const run = promisify(execFile);
const LOG_LIMIT_BYTES = 4 * 1024 * 1024;
const KEPT_LINES = 20;
const MAX_LINE = 2_000;
const POLL_MS = 10;
const PROBE_TIMEOUT_MS = 5_000;
const LAST_WORDS_MS = 3_000;
/** The ladder of a stop: wait for the clean end, then make it end at once, then kill. */
const FAST_STOP_MS = 10_000;
const IMMEDIATE_STOP_MS = 3_000;

export interface PostgresServerOptions {
  readonly binDir: string;
  readonly clusterDir: string;
  readonly logFile: string;
  readonly account: PostgresAccount;
  readonly port: number;
  /** False for tests: a crash of the machine (not of PostgreSQL) may lose data. */
  readonly durable: boolean;
  readonly startTimeoutMs: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
  /** As soon as there is a process. */
  readonly onSpawn?: (pid: number) => void;
  /** It ended without having been told to. */
  readonly onExit?: (reason: string) => void;
}

export interface PostgresServer {
  readonly pid: number;
  stop(): Promise<void>;
}

/** Nothing in the database's folder depends on these, so that a copied folder starts on any port. */
function settings(options: PostgresServerOptions): string[] {
  const safe = options.durable ? {} : { fsync: "off", full_page_writes: "off" };
  const all: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(options.port),
    // No socket file: its path may be too long (107 bytes), and its folder would be one more thing to leave behind.
    unix_socket_directories: "",
    max_connections: "200",
    shared_buffers: "64MB",
    logging_collector: "off",
    log_destination: "stderr",
    lc_messages: "C",
    // A statement can hold a proof of many megabytes.
    log_min_error_statement: "panic",
    ...safe,
    // Means nothing to PostgreSQL: tells whose process it is, as the folder's path need not be in its command line.
    "gevulot.folder": options.clusterDir,
  };
  return Object.entries(all).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
}

/**
 * Starts PostgreSQL and waits until it takes connections.
 *
 * @throws GevulotError `POSTGRES_PORT_TAKEN`, `POSTGRES_START_FAILED`
 */
export async function startPostgresServer(options: PostgresServerOptions): Promise<PostgresServer> {
  options.signal?.throwIfAborted();
  const child = await spawnTied(options);
  if (child.pid !== undefined) options.onSpawn?.(child.pid);
  const log = followLog(child, options.logFile);
  const gone = once(child, "close").catch(() => undefined);
  let wanted = true;
  child.once("exit", (code, signal) => {
    if (wanted && log.isReady())
      options.onExit?.(`it ended with ${signal ?? `exit code ${code}`}: ${log.last()}`);
  });
  const stop = async () => {
    wanted = false;
    await stopChild(child, gone);
    log.close();
  };
  try {
    await sayWait(untilReady(child, gone, log, options), {
      what: "PostgreSQL to take connections",
      lastLine: log.last,
      onProgress: options.onProgress,
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid!, stop };
}

/**
 * Spawns a command that ends with us, even if we are killed with SIGKILL. In its own process group, so that a
 * terminal's Ctrl-C reaches us alone and things stop in order.
 */
async function spawnTied(options: PostgresServerOptions): Promise<ChildProcess> {
  const hasDeathSignal = await run("setpriv", ["--pdeathsig", "INT", "true"], {
    timeout: PROBE_TIMEOUT_MS,
  }).then(
    () => true,
    () => false,
  );
  const tie = hasDeathSignal ? ["setpriv", "--pdeathsig", "INT", "--"] : WATCHER;
  const program = join(options.binDir, "postgres");
  return spawnAt(
    options.account,
    options.clusterDir,
    (path) => [...tie, program, "-D", path, ...settings(options)],
    {
      detached: true,
      env: { PATH: "/usr/bin:/bin:/usr/sbin:/sbin", LC_ALL: "C", TZ: "UTC" },
      stdio: [hasDeathSignal ? "ignore" : "pipe", "ignore", "pipe"],
    },
  );
}

/**
 * Where there is no parent death signal: the end of our pipe's other end says that we are gone. The pipe is taken
 * first, as a shell gives what it runs in the background an empty input.
 */
const WATCHER = [
  "/bin/sh",
  "-c",
  'exec 9<&0; (read -r _ <&9 || kill -INT $$) >/dev/null 2>&1 & exec "$@" 9<&- </dev/null',
  "sh",
];

interface ServerLog {
  isReady(): boolean;
  last(): string;
  lines(): readonly string[];
  close(): void;
}

function followLog(child: ChildProcess, path: string): ServerLog {
  const file = createBoundedLog(path, LOG_LIMIT_BYTES);
  const lines: string[] = [];
  let rest = "";
  let ready = false;
  child.once("error", (error) => lines.push(error.message));
  child.stderr!.setEncoding("utf8").on("data", (text: string) => {
    file.write(text);
    const parts = (rest + text).split("\n");
    rest = parts.pop()!.slice(0, MAX_LINE);
    for (const line of parts) {
      if (line.includes("database system is ready to accept connections")) ready = true;
      lines.push(line.slice(0, MAX_LINE));
    }
    lines.splice(0, lines.length - KEPT_LINES);
  });
  return {
    isReady: () => ready,
    last: () => lines.at(-1) ?? (rest || "it said nothing"),
    lines: () => lines,
    close: () => file.close(),
  };
}

async function untilReady(
  child: ChildProcess,
  gone: Promise<unknown>,
  log: ServerLog,
  options: PostgresServerOptions,
): Promise<void> {
  const deadline = Date.now() + options.startTimeoutMs;
  while (!log.isReady()) {
    options.signal?.throwIfAborted();
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) {
      // What it said last may still be in the pipe, which something that it left may hold.
      await Promise.race([gone, delay(LAST_WORDS_MS, undefined, { ref: false })]);
      throw startFailed(`PostgreSQL did not start: ${log.lines().join("\n") || log.last()}`, log, options);
    }
    if (Date.now() > deadline) {
      throw startFailed(
        `Waited ${options.startTimeoutMs / 1000} s for PostgreSQL to take connections on ` +
          `127.0.0.1:${options.port}. It said last: ${log.last()}`,
        log,
        options,
      );
    }
    await delay(POLL_MS);
  }
}

function startFailed(message: string, log: ServerLog, options: PostgresServerOptions): GevulotError {
  const { port } = options;
  if (log.lines().some((line) => /could not bind .*Address already in use/.test(line))) {
    return new GevulotError(
      "POSTGRES_PORT_TAKEN",
      `Port ${port} on 127.0.0.1 is taken by another process. Choose another port, or none for a free one.`,
      { context: { port } },
    );
  }
  return new GevulotError("POSTGRES_START_FAILED", `${message}\nThe whole log: ${options.logFile}`, {
    context: { port, log: [...log.lines()] },
  });
}

async function stopChild(child: ChildProcess, gone: Promise<unknown>): Promise<void> {
  const ended = () => child.exitCode !== null || child.signalCode !== null || child.pid === undefined;
  const steps: [NodeJS.Signals, number][] = [
    ["SIGINT", FAST_STOP_MS],
    ["SIGQUIT", IMMEDIATE_STOP_MS],
    ["SIGKILL", IMMEDIATE_STOP_MS],
  ];
  for (const [signal, waitMs] of steps) {
    if (ended()) break;
    child.kill(signal);
    const deadline = Date.now() + waitMs;
    while (!ended() && Date.now() < deadline) await delay(POLL_MS);
  }
  // Says to the watcher that the end was wanted.
  child.stdin?.end("\n");
  // A backend that outlives its server by a moment still holds the pipe.
  await Promise.race([gone, delay(IMMEDIATE_STOP_MS, undefined, { ref: false })]);
  child.stderr?.destroy();
}
