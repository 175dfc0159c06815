import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { TaskFailure } from "gevulot-sdk";
import { pino } from "pino";
import { buildImage } from "../../devnet/src/image/buildImage.ts";
import { bundleProgram } from "../../devnet/src/image/bundleProgram.ts";
import { buildNanosImage } from "../../devnet/src/image/nanos/buildNanosImage.ts";
import type { KernelFilesOptions } from "../../devnet/src/image/nanos/kernelFiles.ts";
import { collectFiles, OutputFileProblem } from "../../devnet/src/result/collectFiles.ts";
import { explainOutcome } from "../../devnet/src/result/explainOutcome.ts";
import { readConsoleTail } from "../../devnet/src/result/readConsoleTail.ts";
import { takeResult } from "../../devnet/src/result/takeResult.ts";
import { createVmProvider } from "../../devnet/src/vm/createVmProvider.ts";
import type { VmProvider } from "../../devnet/src/vm/provider.ts";
import { createTaskExchange } from "../../devnet/src/vm/vsock/taskExchange.ts";

/** How a program is made, and how it and its node speak. */
export type ProgramKind =
  | "Node.js by files"
  | "Node.js by VSOCK"
  | "exec, static"
  | "exec, dynamic"
  | "Node.js under Nanos";
export type ProviderName = "qemu" | "process";

export interface CaseRun {
  readonly args: readonly string[];
  /** By their path in the workspace. */
  readonly inputs: Readonly<Record<string, Uint8Array>>;
  readonly memMib: number;
  readonly deadlineMs: number;
  /** Cancelled once the program runs. */
  readonly cancel: boolean;
}

export interface CaseEnd {
  readonly failure: TaskFailure | null;
  readonly data: string;
  /** BLAKE3 by path, and where the copy is. */
  readonly files: ReadonlyMap<string, { readonly checksum: string; readonly path: string }>;
  readonly consoleTail: string;
  /** By the host's clock. */
  readonly endedAtMs: number;
}

export interface Harness extends AsyncDisposable {
  readonly vsock: { readonly kind: string; readonly detail: string };
  image(kind: ProgramKind): Promise<string>;
  run(kind: ProgramKind, provider: ProviderName, what: CaseRun): Promise<CaseEnd>;
}

const script = fileURLToPath(new URL("../fixtures/programs/contract.mjs", import.meta.url));
const source = fileURLToPath(new URL("../fixtures/programs/contract.c", import.meta.url));
const MAX_OUTPUT_BYTES = 4 * 2 ** 30;
export const CONTRACT_ENV = "with space, 'quotes' and ü";

/** Where Nanos's kernel and loader are, by which a program of that kind can be made; null without them. */
export type NanosFiles = KernelFilesOptions | null;

/** Images of each kind, made when they are first wanted, and both providers; all that a node does with a task but the store. */
export async function createHarness(nanos: NanosFiles): Promise<Harness> {
  const log = pino({ level: "silent" });
  const folder = await realpath(await mkdtemp(join(tmpdir(), "contract-")));
  const cacheDir = join(homedir(), ".cache", "gevulot");
  const common = { qemuPath: "qemu-system-x86_64", cacheDir: join(folder, "cache") };
  const providers: Record<ProviderName, VmProvider> = {
    qemu: await createVmProvider({ log }, { provider: "auto", ...common }),
    process: await createVmProvider({ log }, { provider: "process", ...common }),
  };
  const images = new Map<ProgramKind, Promise<string>>();
  let runs = 0;

  const image = (kind: ProgramKind): Promise<string> => {
    const made = images.get(kind) ?? makeImage(kind, { folder, cacheDir, nanos });
    images.set(kind, made);
    return made;
  };

  return {
    vsock: providers.qemu.vsock,
    image,
    async run(kind, providerName, what) {
      const imagePath = await image(kind);
      const place = join(folder, `run-${++runs}`);
      const workspaceDir = join(place, "workspace");
      await fillWorkspace(workspaceDir, what);
      const task = { id: `task-${runs}`, args: [...what.args], files: Object.keys(what.inputs).map(vmPath) };
      await writeFile(join(workspaceDir, "task.json"), JSON.stringify(task));
      const exchange = createTaskExchange({ ...task, txHash: task.id, name: "contract" });
      const cancel = new AbortController();
      const consolePath = join(place, "console");
      const { memMib, deadlineMs } = what;
      const outcome = await providers[providerName].run(
        {
          ...{ attemptId: `contract-${runs}`, imagePath, imageChecksum: "", exchange, workspaceDir },
          ...{ memMib, cpus: 1, gpuDevices: [], consolePath, consoleLimitBytes: 65_536, deadlineMs },
        },
        {
          signal: cancel.signal,
          onEvent: ({ stage }) => void (what.cancel && stage === "program" && cancel.abort()),
        },
      );
      const endedAtMs = Date.now();
      const consoleTail = await readConsoleTail(consolePath);
      const result = explainOutcome(outcome, await takeResult(exchange, workspaceDir, task.id), {
        ...{ step: 0, deadline: { ms: deadlineMs, setBy: "node" }, memMib },
      });
      if ("code" in result) return { failure: result, data: "", files: new Map(), consoleTail, endedAtMs };
      try {
        const limits = { maxBytes: MAX_OUTPUT_BYTES };
        const files = await collectFiles(workspaceDir, result.files, join(place, "files"), limits);
        const data = Buffer.from(result.data).toString();
        return {
          failure: null,
          data,
          files: new Map(files.map((file) => [file.vmPath, file])),
          consoleTail,
          endedAtMs,
        };
      } catch (error) {
        const failure = failureOf(error);
        return { failure, data: "", files: new Map(), consoleTail, endedAtMs };
      } finally {
        await rm(workspaceDir, { recursive: true, force: true });
      }
    },
    [Symbol.asyncDispose]: () => closeAll(Object.values(providers), folder),
  };
}

function failureOf(error: unknown): TaskFailure {
  if (!(error instanceof OutputFileProblem)) throw error;
  const none = { step: 0, exitCode: null, signal: null, consoleTail: "" };
  return { code: "RESULT_INVALID", message: error.message, ...none };
}

async function closeAll(providers: readonly VmProvider[], folder: string): Promise<void> {
  for (const provider of providers) await provider[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
}

const vmPath = (path: string): string => `/workspace/${path}`;

async function fillWorkspace(workspaceDir: string, { inputs }: CaseRun): Promise<void> {
  await mkdir(workspaceDir, { recursive: true });
  for (const [path, bytes] of Object.entries(inputs)) {
    await mkdir(join(workspaceDir, dirname(path)), { recursive: true });
    await writeFile(join(workspaceDir, path), bytes);
  }
}

async function makeImage(
  kind: ProgramKind,
  {
    folder,
    cacheDir,
    nanos,
  }: { readonly folder: string; readonly cacheDir: string; readonly nanos: NanosFiles },
): Promise<string> {
  const name = kind.replace(/\W+/g, "-");
  const outputPath = join(folder, `${name}.img`);
  if (kind === "Node.js under Nanos") {
    if (nanos === null) throw new Error("an image for Nanos needs its kernel");
    await writeFile(join(folder, "contract.mjs"), await bundleProgram(script));
    // With it the kernel hands on the program's exit code.
    const ManifestPassthrough = { debug_exit: "t" };
    const Env = { CONTRACT_ENV, GEVULOT_TRANSPORT: "files" };
    const manifest = { Args: ["/contract.mjs"], Files: ["contract.mjs"], Env, ManifestPassthrough };
    const program = process.execPath;
    await buildNanosImage({ program, workingDir: folder, manifest, outputPath, kernelFiles: nanos });
    return outputPath;
  }
  if (kind.startsWith("Node.js")) {
    const transport = kind === "Node.js by VSOCK" ? "vsock" : "files";
    const manifest = { Env: { CONTRACT_ENV, GEVULOT_TRANSPORT: transport } };
    await buildImage({ program: script, manifest, outputPath, cacheDir });
    return outputPath;
  }
  const program = join(folder, name);
  const how = kind === "exec, static" ? ["-static"] : [];
  await promisify(execFile)("gcc", ["-O1", "-w", ...how, "-o", program, source]);
  const manifest = { Env: { CONTRACT_ENV } };
  const exec = { outputs: ["out/always", "out/**"] };
  await buildImage({ program, manifest, exec, outputPath, cacheDir, workingDir: folder });
  return outputPath;
}
