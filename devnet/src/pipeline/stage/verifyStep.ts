import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isGevulotError } from "gevulot-sdk";
import type { PipelineConfig } from "../config.ts";
import type { BlobStore } from "../data/blobStore.ts";
import type { TaskKind } from "../plan/planTasks.ts";
import { createStepFolder } from "../steps/stepFolder.ts";
import { createStepKeys } from "../steps/stepKeys.ts";
import { createStepRunner } from "../steps/stepRunner.ts";
import type { PipelineTask } from "../store/tasks.ts";
import { deadlineMsOf } from "./deadlines.ts";

/** An output, and what it was made of. */
export interface Checkable {
  readonly kind: TaskKind;
  readonly proof: Uint8Array;
  readonly inputs: readonly Uint8Array[];
  readonly segment: Uint8Array | null;
  /** Of the request: with the run's last output, which must be of it. */
  readonly publicInput?: Uint8Array;
}

export type CheckResult =
  | { readonly kind: "valid" }
  | { readonly kind: "invalid"; readonly reason: string }
  | { readonly kind: "late"; readonly reason: string }
  | { readonly kind: "cancelled" };

/** A task's output, to be checked against what it was made of. */
export async function readCheckable(
  blobs: BlobStore,
  { kind, inputHash, outputHash }: PipelineTask,
  inputs: readonly PipelineTask[],
): Promise<Checkable> {
  const outputs = inputs.flatMap((input) => input.outputHash ?? []);
  return {
    kind,
    proof: await blobs.readAll(outputHash!),
    inputs: await Promise.all(outputs.map((hash) => blobs.readAll(hash))),
    segment: kind === "prove" && inputHash ? await blobs.readAll(inputHash) : null,
  };
}

/** Runs here, at the stage, which need not trust its nodes. */
export type VerifyStep = (checkable: Checkable, signal: AbortSignal) => Promise<CheckResult>;

/** Null where no such step is configured. */
export async function createVerifyStep(
  { blobs, workDir }: { readonly blobs: BlobStore; readonly workDir: string },
  config: PipelineConfig,
): Promise<VerifyStep | null> {
  const step = config.steps.verify;
  const deadlineMs = deadlineMsOf("verify", config);
  if (!step) return null;
  const run = createStepRunner(config);
  const keys = await createStepKeys(config.proving_key_paths);
  return async (checkable, signal) => {
    const late = AbortSignal.timeout(deadlineMs);
    await using folder = await createStepFolder(workDir);
    await write(join(folder.input, "proof"), checkable.proof);
    const { publicInput } = checkable;
    if (publicInput) await write(join(folder.input, "public_input"), publicInput);
    if (checkable.segment) await write(join(folder.input, "segment"), checkable.segment);
    for (const [index, input] of checkable.inputs.entries()) {
      await write(join(folder.input, "inputs", String(index)), input);
    }
    await keys.place(folder.input, (sha256, to) => writeFile(to, blobs.read(sha256)));
    try {
      await run(step, folder, {
        facts: { GEVULOT_STEP: "verify", GEVULOT_KIND: checkable.kind },
        signal: AbortSignal.any([signal, late]),
      });
      return { kind: "valid" };
    } catch (error) {
      if (signal.aborted) return { kind: "cancelled" };
      if (late.aborted)
        return { kind: "late", reason: `the check did not end within ${deadlineMs / 1_000} s` };
      if (isGevulotError(error, "STEP_FAILED") && !isNotStarted(error))
        return { kind: "invalid", reason: error.message };
      throw error;
    }
  };
}

async function write(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

/** Its program is not there: that says nothing of the output. */
function isNotStarted({ cause }: Error): boolean {
  return String((cause as NodeJS.ErrnoException | undefined)?.syscall ?? "").startsWith("spawn");
}
