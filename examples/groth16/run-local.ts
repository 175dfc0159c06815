import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/**
 * The example's programs as host processes, with no virtual machine and no node: for debugging (`inspect`), and for
 * tests. The shim finds task and files in the folder that `GEVULOT_WORKSPACE` names.
 */
export interface LocalRun {
  readonly program: "prover" | "verifier";
  /** From {@link setupCircuit}; what the image has at its root, the process has in its working directory. */
  readonly circuitDir: string;
  readonly args: readonly string[];
  /** Input files by their path in the virtual machine. */
  readonly inputs: Readonly<Record<string, string | Uint8Array>>;
  /** Waits for a debugger: open chrome://inspect, or attach an editor. */
  readonly inspect?: boolean;
  readonly signal?: AbortSignal;
}

export interface LocalResult {
  readonly exitCode: number | null;
  /** The program's own message, where it failed. */
  readonly error: string | null;
  readonly data: Uint8Array;
  /** Output files by their path in the virtual machine. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly tookMs: number;
}

const VM_WORKSPACE = "/workspace";
const DEADLINE_MS = 60_000;
const here = dirname(fileURLToPath(import.meta.url));

export async function runLocal(run: LocalRun): Promise<LocalResult> {
  const folder = mkdtempSync(join(tmpdir(), "groth16-"));
  try {
    const bundle = join(folder, `${run.program}.mjs`);
    await bundleProgram(run.program, bundle);
    const workspace = join(folder, "workspace");
    mkdirSync(workspace);
    prepareWorkspace(workspace, run);
    const started = performance.now();
    const { exitCode, console } = await execute(bundle, workspace, run);
    const tookMs = performance.now() - started;
    return { exitCode, tookMs, ...readResult(workspace, console) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** As the image builder does it. */
async function bundleProgram(program: string, outfile: string): Promise<void> {
  // A bundle of ES modules has no `require`, and some packages need it for Node.js's own modules.
  const js = `import{createRequire as __r}from"node:module";const require=__r(import.meta.url);`;
  await build({
    entryPoints: [join(here, `${program}.mjs`)],
    outfile,
    bundle: true,
    minify: true,
    platform: "node",
    format: "esm",
    target: "node20",
    banner: { js },
    logLevel: "warning",
  });
}

function prepareWorkspace(workspace: string, run: LocalRun): void {
  for (const [vmPath, content] of Object.entries(run.inputs))
    writeFileSync(hostPath(workspace, vmPath), content);
  const task = { id: "local", args: run.args, files: Object.keys(run.inputs) };
  writeFileSync(join(workspace, "task.json"), JSON.stringify(task));
}

function hostPath(workspace: string, vmPath: string): string {
  const path = join(workspace, posix.relative(VM_WORKSPACE, vmPath));
  if (relative(workspace, path).startsWith("..")) throw new Error(`${vmPath} is not below ${VM_WORKSPACE}`);
  return path;
}

function execute(bundle: string, workspace: string, run: LocalRun) {
  const child = spawn(process.execPath, [...(run.inspect ? ["--inspect-brk"] : []), bundle], {
    cwd: run.circuitDir,
    env: { ...process.env, GEVULOT_WORKSPACE: workspace },
    stdio: ["ignore", "inherit", "pipe"],
    killSignal: "SIGKILL",
    ...(run.inspect ? {} : { timeout: DEADLINE_MS }),
    ...(run.signal === undefined ? {} : { signal: run.signal }),
  });
  let console = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    console += text;
    if (run.inspect) process.stderr.write(text);
  });
  return new Promise<{ exitCode: number | null; console: string }>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => resolve({ exitCode, console }));
  });
}

type ResultFile = { Ok: { data: number[]; files: string[] } } | { Err: string };

function readResult(workspace: string, console: string): Pick<LocalResult, "error" | "data" | "files"> {
  const path = join(workspace, "task_result.json");
  const result: ResultFile = existsSync(path)
    ? JSON.parse(readFileSync(path, "utf8"))
    : { Err: `no result; its console says:\n${console}` };
  if ("Err" in result) return { error: result.Err, data: new Uint8Array(), files: new Map() };
  const files = result.Ok.files.map((name) => [name, readFileSync(hostPath(workspace, name))] as const);
  return { error: null, data: Uint8Array.from(result.Ok.data), files: new Map(files) };
}
