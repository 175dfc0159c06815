import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isGevulotError } from "gevulot-sdk";
import type { StepConfig } from "../config.ts";
import { runCommand } from "../steps/runCommand.ts";
import { createStepFolder, fillCommand } from "../steps/stepFolder.ts";
import type { TaskEnd } from "./taskCaller.ts";

export interface VerifyStep {
  readonly isConfigured: boolean;
  /** Runs here, at the stage, which need not trust its nodes. */
  readonly run: (proof: Uint8Array, signal: AbortSignal) => Promise<TaskEnd>;
}

const DEFAULT_DEADLINE_SECONDS = 600;

export function createVerifyStep(
  step: StepConfig | undefined,
  deadlineSeconds = DEFAULT_DEADLINE_SECONDS,
): VerifyStep {
  return {
    isConfigured: step !== undefined,
    async run(proof, signal) {
      const command = step && "command" in step ? step.command : null;
      if (command === null) return { kind: "failed", reason: "steps.verify of a stage must be a command" };
      const late = AbortSignal.timeout(deadlineSeconds * 1_000);
      await using folder = await createStepFolder();
      await writeFile(join(folder.input, "proof"), proof);
      try {
        const env = { GEVULOT_STEP: "verify" };
        await runCommand(fillCommand(command, folder), {
          cwd: folder.root,
          env,
          signal: AbortSignal.any([signal, late]),
        });
        return { kind: "done", output: VERIFIED };
      } catch (error) {
        if (signal.aborted) return { kind: "cancelled" };
        if (late.aborted)
          return { kind: "late", reason: `the check did not end within ${deadlineSeconds} s` };
        if (isGevulotError(error, "STEP_FAILED")) return { kind: "failed", reason: error.message };
        throw error;
      }
    },
  };
}

/** A check leaves nothing: the hash of no bytes. */
const VERIFIED = { hash: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", bytes: 0 };
