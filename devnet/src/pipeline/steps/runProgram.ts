import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GevulotClient, type Hash, isGevulotError, type ProofResult, type RunHandle } from "gevulot-sdk";
import { stepCancelled, stepFailed } from "./stepErrors.ts";
import { fillFolders, type StepFolder } from "./stepFolder.ts";

/** The network that runs a pipeline's programs, and the account that asks it to. */
export interface ProgramNetwork {
  readonly rpcUrl: string;
  readonly keyFile: string;
}

export interface ProgramRun {
  readonly program: Hash;
  readonly args: readonly string[];
  /** What a command gets as its environment: the program finds it in `in/step.json`. */
  readonly facts: Readonly<Record<string, string>>;
  /** File of `out/` that the Proof's own data stands for, where the program leaves no such file. */
  readonly answerFile?: string;
  /** Keeps the Run's hash while it runs, so that a node which was restarted waits for the Run that it sent before. */
  readonly resumeFile?: string;
  readonly signal: AbortSignal;
}

/** Where a program has its step's folder: `in/` and `out/` as a command has them. */
const VM_FOLDER = { input: "/workspace/in", output: "/workspace/out" };
const MAX_WAIT_MS = 7 * 86_400_000;
const UNREACHABLE_MS = 60_000;
const CANCEL_MS = 5_000;

/**
 * Runs a deployed program for a step, as a Run of one step: the files of `in/` are its inputs, and what it leaves below
 * `/workspace/out` is put into `out/`. Throws `STEP_FAILED` where the program says no, with the end of its console; `STEP_CANCELLED`, and the
 * Run is cancelled too then; and what the client throws where the network can't run it.
 */
export async function runProgram(
  network: ProgramNetwork,
  run: ProgramRun,
  folder: StepFolder,
): Promise<void> {
  const { signal, resumeFile } = run;
  const shown = `program ${run.program}`;
  const client = new GevulotClient({ url: network.rpcUrl, keyFile: network.keyFile });
  let sent: RunHandle | undefined;
  try {
    sent = (await findSent(client, resumeFile, signal)) ?? (await send(client, run, folder));
    const { proofs } = await sent.result({
      ...{ timeoutMs: MAX_WAIT_MS, unreachableMs: UNREACHABLE_MS, minVerifications: 0, signal },
    });
    await takeOutputs(proofs[0]!, run, folder);
  } catch (error) {
    if (signal.aborted) {
      await sent?.cancel({ signal: AbortSignal.timeout(CANCEL_MS) }).catch(() => {});
      await forget(resumeFile);
      throw stepCancelled(shown);
    }
    // A network that is away for a while still has the Run: the next try waits for it.
    if (!isGevulotError(error, "CANNOT_REACH_NODE")) await forget(resumeFile);
    if (!isGevulotError(error, "TASK_FAILED") || error.context.failure.code !== "PROGRAM_FAILED") throw error;
    const { consoleTail } = error.context.failure;
    const said = consoleTail === "" ? error.message : `${error.message}\n${consoleTail}`;
    throw stepFailed(shown, `failed as run ${error.context.run}`, said, error);
  }
  await forget(resumeFile);
}

async function send(client: GevulotClient, run: ProgramRun, folder: StepFolder): Promise<RunHandle> {
  const { program, signal, resumeFile } = run;
  await writeFile(join(folder.input, "step.json"), JSON.stringify(run.facts));
  const files = await readdir(folder.input, { recursive: true, withFileTypes: true });
  const inputs = files
    // Keys are links.
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((file) => ({ file, vmPath: VM_FOLDER.input + file.slice(folder.input.length) }));
  const args = fillFolders(run.args, VM_FOLDER);
  const sent = await client.run({ steps: [{ program, args, inputs }], signal });
  if (resumeFile !== undefined) {
    await mkdir(dirname(resumeFile), { recursive: true });
    await writeFile(`${resumeFile}.tmp`, sent.hash);
    await rename(`${resumeFile}.tmp`, resumeFile);
  }
  return sent;
}

/** The Run that was sent for this task before, where the network still knows it. */
async function findSent(
  client: GevulotClient,
  resumeFile: string | undefined,
  signal: AbortSignal,
): Promise<RunHandle | null> {
  const hash = resumeFile === undefined ? "" : await readFile(resumeFile, "utf8").catch(() => "");
  if (hash === "") return null;
  const run = client.getRun(hash as Hash, { stepCount: 1 });
  try {
    await run.status({ signal });
    return run;
  } catch (error) {
    if (isGevulotError(error, "REFUSED")) return null;
    throw error;
  }
}

async function takeOutputs(proof: ProofResult, run: ProgramRun, folder: StepFolder): Promise<void> {
  const below = `${VM_FOLDER.output}/`;
  // Downloaded beside `out/`, as a file appears there whole.
  const arriving = join(folder.root, "arriving");
  for (const file of proof.files) {
    const name = file.vmPath.slice(below.length);
    const isSafe = name.split("/").every((part) => part !== "" && part !== "." && part !== "..");
    if (!file.vmPath.startsWith(below) || !isSafe || name.includes("\0")) continue;
    await file.download(arriving, { signal: run.signal });
    const path = join(folder.output, name);
    await mkdir(dirname(path), { recursive: true });
    await rename(arriving, path);
  }
  if (run.answerFile === undefined || proof.files.some(({ vmPath }) => vmPath === below + run.answerFile))
    return;
  await writeFile(join(folder.output, run.answerFile), proof.data);
}

async function forget(resumeFile: string | undefined): Promise<void> {
  if (resumeFile !== undefined) await rm(resumeFile, { force: true });
}
