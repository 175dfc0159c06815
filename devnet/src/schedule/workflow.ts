import type { ProgramData, Transaction } from "gevulot-sdk/protocol";
import type { NewTask } from "../store/tasks.ts";

/** What of a Proof decides which steps it makes ready. */
export interface WorkflowProof {
  readonly hash: string;
  /** The program that made it. */
  readonly prover: string;
}

/**
 * The tasks of a Run that can begin, done ones included: of each step whose sources have a Proof. A step before the
 * last proves, once. The last one verifies each Proof of the step before it; the only step of a Run proves.
 */
export function readyTasks(run: Transaction<"run">, proofs: readonly WorkflowProof[]): NewTask[] {
  const { steps } = run.payload;
  const proven = new Set(proofs.map(({ prover }) => prover));
  return steps.flatMap(({ program, inputs }, step): NewTask[] => {
    if (!inputs.every((input) => isThere(input, proven))) return [];
    const before = steps[step - 1];
    if (before === undefined || step < steps.length - 1) {
      return [{ run: run.hash, step, kind: "proof", program, proof: null }];
    }
    return proofs
      .filter(({ prover }) => prover === before.program)
      .map(({ hash }) => ({ run: run.hash, step, kind: "verification", program, proof: hash }));
  });
}

function isThere(input: ProgramData, proven: ReadonlySet<string>): boolean {
  return input.kind === "input" || proven.has(input.sourceProgram);
}
