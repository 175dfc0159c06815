import type { Transaction } from "gevulot-sdk/protocol";
import type { NewTask } from "../store/tasks.ts";

/** The task that a stored Run makes ready: its first step. */
export function firstTask(run: Transaction<"run">): NewTask | null {
  const step = run.payload.steps[0];
  return step ? { run: run.hash, step: 0, kind: "proof", program: step.program, proof: null } : null;
}

/**
 * The task that a stored Proof makes ready: the step after its prover's. The last step verifies; those before it
 * prove (protocol section 4).
 */
export function nextTask(run: Transaction<"run">, proof: Transaction<"proof">): NewTask | null {
  const { steps } = run.payload;
  const prover = steps.findIndex((step) => step.program === proof.payload.prover);
  const next = steps[prover + 1];
  if (prover < 0 || !next) return null;
  const step = prover + 1;
  const kind = step === steps.length - 1 ? "verification" : "proof";
  return { run: run.hash, step, kind, program: next.program, proof: proof.hash };
}
