import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { StepConfig, StepName } from "../config.ts";
import type { DataClient } from "../data/dataClient.ts";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import { DEFERRED_PROOF, deferredProofName } from "../runFolder.ts";
import { createStepFolder, type StepFolder } from "../steps/stepFolder.ts";
import type { StepKeys } from "../steps/stepKeys.ts";
import type { StepRunner } from "../steps/stepRunner.ts";
import { createSegmentSender } from "./segmentSender.ts";
import type { TaskFiles } from "./taskFiles.ts";

/** A request of any method, as proto-loader gives it. */
export type StepRequest = Readonly<Record<string, unknown>> & {
  readonly proof_id: string;
  readonly computed_request_id: string;
};

export interface StepContext {
  readonly files: TaskFiles;
  readonly keys: StepKeys;
  readonly data: DataClient | null;
  readonly run: StepRunner;
  readonly workDir: string;
  /** Of a Run that was sent to a network for this request and hasn't ended. */
  readonly resumeFile: string;
  readonly signal: AbortSignal;
}

/** What a step's answer has beside the ids and the result. */
export type StepAnswer = Readonly<Record<string, unknown>>;

export const STEP_OF: Readonly<Record<TaskMethod, StepName>> = {
  SplitElf: "split",
  Prove: "prove",
  Aggregate: "agg",
  SnarkProof: "snark",
  SingleNode: "single",
};

const ANSWER_FILE: Readonly<Partial<Record<StepName, string>>> = {
  prove: "receipt",
  agg: "receipt",
  snark: "proof",
  single: "proof",
};

/** Runs one step as it is configured: inputs into a folder, the command or program, outputs out of it. */
export async function runStep(
  method: TaskMethod,
  step: StepConfig,
  request: StepRequest,
  context: StepContext,
): Promise<StepAnswer> {
  await using folder = await createStepFolder(context.workDir);
  const name = STEP_OF[method];
  const answerFile = ANSWER_FILE[name];
  const run = () =>
    context.run(step, folder, {
      facts: { GEVULOT_STEP: name, ...environment(request) },
      ...(answerFile === undefined ? {} : { answerFile }),
      resumeFile: context.resumeFile,
      signal: context.signal,
    });
  await placeInputs(method, request, folder, context.files);
  await context.keys.place(folder.input, context.files.placeContent);
  // Awaited here: the folder goes with this function.
  if (method === "SplitElf") return await split(request, folder, context, run);
  await run();
  const output = (name: string) => readOutput(folder, name);
  if (method === "Prove") return { output_receipt: await output("receipt") };
  if (method === "Aggregate") return { agg_receipt: await output("receipt") };
  if (method === "SnarkProof") return { snark_proof_with_public_inputs: await output("proof") };
  return { output: await output("proof"), total_steps: await readCount(folder, "total_steps") };
}

async function split(
  request: StepRequest,
  folder: StepFolder,
  context: StepContext,
  run: () => Promise<void>,
): Promise<StepAnswer> {
  const segments = join(folder.output, "segments");
  await mkdir(segments);
  const failed = new AbortController();
  const sender = createSegmentSender({
    from: segments,
    taskId: request.computed_request_id,
    leave: context.files.isShared
      ? (name, content) => context.files.leave(`${request.seg_path}/${name}`, content)
      : null,
    data: context.data,
    signal: AbortSignal.any([context.signal, failed.signal]),
  });
  try {
    await run();
  } catch (error) {
    failed.abort();
    await sender.finish().catch(() => {});
    throw error;
  }
  const total = await sender.finish();
  const deferred = await deferredFiles(request, folder);
  if (context.files.isShared) await removeDeferred(request, context.files, Object.values(deferred).flat());
  const others = { ...splitFiles(request), ...deferred };
  for (const [file, paths] of Object.entries(others)) {
    const path = join(folder.output, file);
    if (!(await isThere(path))) continue;
    if (!(await stat(path)).isFile()) throw new Error(`out/${file} is no file: write it as one`);
    if (!context.files.isShared) await sender.sendFile(path, file);
    else for (const to of paths) await context.files.leave(to, { file: path });
  }
  return { total_steps: await readCount(folder, "total_steps"), total_segments: total };
}

/** Proofs of other runs, ready to be made leaves: `out/deferred/0`, … */
async function deferredFiles(request: StepRequest, folder: StepFolder): Promise<Record<string, string[]>> {
  const names = await readdir(join(folder.output, "deferred")).catch(() => []);
  const numbers = names.filter((name) => /^\d{1,5}$/.test(name));
  return Object.fromEntries(
    numbers.map((name) => [`deferred/${name}`, [`${request.seg_path}/${deferredProofName(Number(name))}`]]),
  );
}

/** Those of an earlier start that went otherwise: the stage would take them for this one's. */
async function removeDeferred(request: StepRequest, files: TaskFiles, own: readonly string[]): Promise<void> {
  for (const path of await files.below(String(request.seg_path)))
    if (DEFERRED_PROOF.test(basename(path)) && !own.includes(path)) await files.remove(path);
}

/**
 * Where a split's other files lie in the run's folder, which is what requests call `base_dir`. A request doesn't say which of
 * the two values the stage reads.
 */
function splitFiles({ base_dir: root, output_path: output }: StepRequest): Record<string, string[]> {
  return {
    // Existing stages of zkm2 want none.
    output_stream: output === "" ? [] : [String(output)],
    public_values: [`${root}/wrap/public_values.json`, `${root}/wrap/public_values.bin`],
    vk: [`${root}/vk.bin`],
  };
}

async function placeInputs(
  method: TaskMethod,
  request: StepRequest,
  folder: StepFolder,
  files: TaskFiles,
): Promise<void> {
  const named = (field: string, name: string) =>
    files.place(String(request[field] ?? ""), join(folder.input, name));
  const written = async (name: string, bytes: unknown): Promise<void> => {
    const path = join(folder.input, name);
    await mkdir(join(path, ".."), { recursive: true });
    await writeFile(path, bytes as Buffer);
  };
  if (method === "SnarkProof") return written("receipt", request.agg_receipt);
  if (method === "Aggregate") {
    const inputs = request.inputs as readonly { readonly receipt_input: Buffer }[];
    for (const [index, input] of inputs.entries()) await written(`inputs/${index}`, input.receipt_input);
    return written("vk", request.vk);
  }
  await named("elf_path", "elf");
  if (method === "Prove") {
    await named("segment", "segment");
    const receipts = request.receipts_input as readonly Buffer[];
    for (const [index, receipt] of receipts.entries()) await written(`receipts/${index}`, receipt);
    return;
  }
  if (method === "SplitElf") await named("public_input_path", "public_input");
  else {
    // The contract's request does not name it; where it lies is the contract's too.
    const inputs = `${request.base_dir}/input_stream`;
    const path = (await files.below(inputs)).find((file) => basename(file) === "public_input");
    if (path) await files.place(path, join(folder.input, "public_input"));
  }
  await named("private_input_path", "private_input");
  await named("receipt_inputs_path", "receipt_inputs");
  const block = `${request.base_dir}/0_${request.block_no ?? 0}`;
  for (const path of await files.below(block))
    await files.place(path, join(folder.input, "block", basename(path)));
}

/** The request's plain facts, for programs that want them: `GEVULOT_SEG_SIZE`, `GEVULOT_INDEX`, `GEVULOT_IS_FINAL`, … */
function environment(request: StepRequest): Record<string, string> {
  const facts = Object.entries(request).filter(([, value]) =>
    ["string", "number", "boolean"].includes(typeof value),
  );
  return Object.fromEntries(facts.map(([name, value]) => [`GEVULOT_${name.toUpperCase()}`, String(value)]));
}

async function readOutput(folder: StepFolder, name: string): Promise<Buffer> {
  return readFile(join(folder.output, name)).catch((cause: NodeJS.ErrnoException) => {
    const what = cause.code === "EISDIR" ? `a folder as out/${name}, not a file` : `no out/${name}`;
    throw new Error(`the step ended without an error, but left ${what}`, { cause });
  });
}

async function readCount(folder: StepFolder, name: string): Promise<string> {
  const text = (await readOutput(folder, name)).toString("utf8").trim();
  if (!/^\d{1,19}$/.test(text))
    throw new Error(`out/${name} must hold a number, not ${JSON.stringify(text.slice(0, 40))}`);
  return text;
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
