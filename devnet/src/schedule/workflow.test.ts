import { type ProgramData, signTransaction, type Transaction } from "gevulot-sdk/protocol";
import { describe, expect, test } from "vitest";
import { readyTasks } from "./workflow.ts";

const secretKey = new Uint8Array(32).fill(7);
const program = (n: number): string => n.toString(16).padStart(64, "0");
const from = (n: number): ProgramData => ({
  kind: "output",
  sourceProgram: program(n),
  fileName: `/workspace/${n}`,
});
/** A Run whose step i takes files of the steps that are listed for it. */
const run = (...sources: readonly (readonly number[])[]): Transaction<"run"> =>
  signTransaction({
    payload: {
      kind: "run",
      steps: sources.map((each, i) => ({ program: program(i), args: [], inputs: each.map(from) })),
    },
    nonce: 1n,
    secretKey,
  });
const proof = (prover: number, n = 0) => ({
  hash: `${prover}${n}`.padStart(64, "f"),
  prover: program(prover),
});
const ready = (tx: Transaction<"run">, ...proofs: ReturnType<typeof proof>[]) =>
  readyTasks(tx, proofs).map(({ step, kind, proof }) => `${step} ${kind} ${proof?.slice(-2) ?? "-"}`);

describe("the tasks that a Run makes", () => {
  test("two steps: a proof, then the verification of each Proof", () => {
    const two = run([], [0]);
    expect(readyTasks(two, [])).toEqual([
      { run: two.hash, step: 0, kind: "proof", program: program(0), proof: null },
    ]);
    const only = proof(0);
    expect(readyTasks(two, [only])[1]).toEqual({
      run: two.hash,
      step: 1,
      kind: "verification",
      program: program(1),
      proof: only.hash,
    });
    expect(ready(two, proof(0), proof(0, 1))).toEqual([
      "0 proof -",
      "1 verification 00",
      "1 verification 01",
    ]);
    // A verifier that takes no file still takes the Proof.
    expect(ready(run([], []))).toEqual(["0 proof -"]);
    expect(ready(run([], []), proof(0))).toEqual(["0 proof -", "1 verification 00"]);
  });

  test("independent steps run side by side; a step waits for all that it takes", () => {
    const tx = run([], [], [0, 1], [2]);
    expect(ready(tx)).toEqual(["0 proof -", "1 proof -"]);
    expect(ready(tx, proof(1))).toEqual(["0 proof -", "1 proof -"]);
    expect(ready(tx, proof(1), proof(0))).toEqual(["0 proof -", "1 proof -", "2 proof -"]);
    expect(ready(tx, proof(1), proof(0), proof(2))).toEqual([
      "0 proof -",
      "1 proof -",
      "2 proof -",
      "3 verification 20",
    ]);
  });

  test("the last step takes files of an earlier step besides the Proof before it", () => {
    const tx = run([], [], [0, 1]);
    expect(ready(tx, proof(1))).toEqual(["0 proof -", "1 proof -"]);
    expect(ready(tx, proof(1), proof(0))).toEqual(["0 proof -", "1 proof -", "2 verification 10"]);
  });

  test("one step ends with its Proof; no step makes nothing; a stranger's Proof makes nothing", () => {
    expect(ready(run([]), proof(0))).toEqual(["0 proof -"]);
    expect(ready(run())).toEqual([]);
    expect(ready(run([], [0]), proof(9))).toEqual(["0 proof -"]);
  });
});
