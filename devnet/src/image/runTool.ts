import { spawn } from "node:child_process";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TOOL_NOT_FOUND: { readonly tool: string; readonly debianPackage: string };
    TOOL_TIMED_OUT: { readonly tool: string; readonly timeoutMs: number };
    TOOL_FAILED: { readonly tool: string; readonly status: number | null; readonly stderr: string };
  }
}

/** Programs of the host that image work starts, and the Debian package that has each. */
const DEBIAN_PACKAGES = {
  mksquashfs: "squashfs-tools",
  unsquashfs: "squashfs-tools",
  xz: "xz-utils",
  zstd: "zstd",
  lz4: "lz4",
  syslinux: "syslinux mtools",
  "mkfs.ext4": "e2fsprogs",
  podman: "podman",
  docker: "docker.io",
  strace: "strace",
  "apt-get": "apt",
  "apt-cache": "apt",
  "dpkg-deb": "dpkg",
} as const;

export type Tool = keyof typeof DEBIAN_PACKAGES;

export interface RunToolOptions {
  readonly cwd?: string;
  /** Written to its standard input. */
  readonly input?: Uint8Array;
  /** Added to the fixed one. */
  readonly env?: Readonly<Record<string, string>>;
  /** A file descriptor for its standard output; then nothing is given back. */
  readonly stdout?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** Images of a hundred GiB are packed on slow machines too. */
const DEFAULT_TIMEOUT_MS = 60 * 60_000;
const MAX_STDOUT_BYTES = 512 * 2 ** 20;
const MAX_STDERR_CHARS = 4096;

/**
 * Runs a program of the host to its end and gives what it wrote. Its time zone and language are fixed, so that the
 * same inputs make the same bytes.
 *
 * @throws GevulotError `TOOL_NOT_FOUND`, `TOOL_FAILED`, `TOOL_TIMED_OUT`; what aborted `signal`.
 */
export async function runTool(
  tool: Tool,
  args: readonly string[],
  options: RunToolOptions = {},
): Promise<Buffer> {
  const { signal, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  signal?.throwIfAborted();
  const timeout = AbortSignal.timeout(timeoutMs);
  const child = spawn(tool, args, {
    stdio: ["pipe", options.stdout ?? "pipe", "pipe"],
    env: { ...passedOn(), LC_ALL: "C", TZ: "UTC", ...options.env },
    signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    killSignal: "SIGKILL",
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: Buffer[] = [];
  let outBytes = 0;
  let stderr = "";
  child.stdout?.on("data", (chunk: Buffer) => {
    outBytes += chunk.length;
    if (outBytes > MAX_STDOUT_BYTES) child.kill("SIGKILL");
    else out.push(chunk);
  });
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString()).slice(-MAX_STDERR_CHARS);
  });
  // A tool that ends before it has read everything says why by its status.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);

  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, killedBy) => {
      // Who reads its output may stop, as `| head` does.
      const isEnough = options.stdout !== undefined && killedBy === "SIGPIPE";
      resolve(isEnough ? 0 : code);
    });
  }).catch((cause: NodeJS.ErrnoException) => {
    signal?.throwIfAborted();
    if (timeout.aborted) throw timedOut(tool, timeoutMs);
    throw cause.code === "ENOENT" ? toolNotFound(tool, cause) : cause;
  });
  if (status === 0) return Buffer.concat(out);
  throw new GevulotError(
    "TOOL_FAILED",
    `${tool} failed (status ${status}): ${stderr.trim() || "no message"}`,
    {
      context: { tool, status, stderr },
    },
  );
}

function timedOut(tool: Tool, timeoutMs: number): GevulotError {
  const message =
    `The program ${tool} did not end within ${timeoutMs / 1_000} s and was stopped. ` +
    "See what keeps it: a disk or a network that does not answer, or a machine too busy; then try again.";
  return new GevulotError("TOOL_TIMED_OUT", message, { context: { tool, timeoutMs } });
}

function toolNotFound(tool: Tool, cause: unknown): GevulotError {
  const debianPackage = DEBIAN_PACKAGES[tool];
  const message =
    `The program ${tool} was not found. Install it: apt-get install ${debianPackage} (Debian, Ubuntu); ` +
    "on other systems it comes in a package of about the same name.";
  return new GevulotError("TOOL_NOT_FOUND", message, { context: { tool, debianPackage }, cause });
}

/** Nothing else of the caller's environment may change what a tool makes. */
const PASSED_ON = ["PATH", "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"];

function passedOn(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    PASSED_ON.flatMap((name) => (name in process.env ? [[name, process.env[name]]] : [])),
  );
}
