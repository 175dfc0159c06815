import { GevulotError } from "gevulot-sdk";
import type { Transaction } from "gevulot-sdk/protocol";
import type { Database } from "../store/database.ts";
import { readTransaction } from "../store/readTransactions.ts";
import type { Verified } from "./stages.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    /** What a transaction refers to is not known here. */
    TX_PARENT_MISSING: { hash: string; missing: string };
    TX_NOT_ALLOWED: { hash: string };
  }
}

export interface ParentDeps {
  readonly database: Database;
  readonly isDeployed: (program: string) => Promise<boolean>;
}

/**
 * Checks what a transaction refers to: a Run's programs, the parent of a Proof, ProofKey or Verification, the Run
 * of a Cancel. Over RPC what is missing is an error at once.
 */
export async function requireParents(deps: ParentDeps, tx: Verified): Promise<void> {
  const { database, isDeployed } = deps;
  const { payload } = tx;
  const missing = (what: string, hash: string, todo: string) =>
    new GevulotError("TX_PARENT_MISSING", `${what} ${hash} is not known to this node. ${todo}`, {
      context: { hash: tx.hash, missing: hash },
    });
  const wrong = (text: string) => new GevulotError("TX_REFUSED", text, { context: { hash: tx.hash } });

  if (payload.kind === "run") {
    for (const step of payload.steps) {
      if (!(await isDeployed(step.program))) {
        throw missing("Program", step.program, "Deploy it first.");
      }
    }
  } else if (payload.kind === "proof" || payload.kind === "proofKey" || payload.kind === "cancel") {
    const run = await readTransaction(database, payload.parent);
    if (run === null) throw missing("Run", payload.parent, "Send the Run first.");
    if (run.payload.kind !== "run")
      throw wrong(`The parent ${payload.parent} is no Run but a ${run.payload.kind}.`);
    if (payload.kind === "proof" && !run.payload.steps.some((step) => step.program === payload.prover)) {
      throw wrong(`The prover ${payload.prover} is no step of the Run ${payload.parent}.`);
    }
    if (payload.kind === "cancel" && run.author !== tx.author) {
      throw new GevulotError("TX_NOT_ALLOWED", "Only the author of a Run can cancel it.", {
        context: { hash: tx.hash },
      });
    }
  } else if (payload.kind === "verification") {
    const proof = await readTransaction(database, payload.parent);
    if (proof === null) throw missing("Proof", payload.parent, "Send the Proof first.");
    if (proof.payload.kind !== "proof") {
      throw wrong(`The parent ${payload.parent} is no Proof but a ${proof.payload.kind}.`);
    }
    const { parent, prover } = (proof as Transaction<"proof">).payload;
    const run = (await readTransaction(database, parent)) as Transaction<"run">;
    const { steps } = run.payload;
    const verifies = steps.findIndex((step) => step.program === prover) + 1;
    if (verifies !== steps.length - 1 || steps[verifies]?.program !== payload.verifier) {
      throw wrong(`The program ${payload.verifier} is not the step of the Run that verifies this Proof.`);
    }
  }
}
