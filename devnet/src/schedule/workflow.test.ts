import { signTransaction, type Transaction } from "gevulot-sdk/protocol";
import { describe, expect, test } from "vitest";
import { firstTask, nextTask } from "./workflow.ts";

const secretKey = new Uint8Array(32).fill(7);
const program = (n: number): string => n.toString(16).padStart(64, "0");
const run = (steps: number): Transaction<"run"> =>
  signTransaction({
    payload: {
      kind: "run",
      steps: Array.from({ length: steps }, (_, i) => ({ program: program(i), args: [], inputs: [] })),
    },
    nonce: 1n,
    secretKey,
  });
const proofBy = (parent: string, prover: string): Transaction<"proof"> =>
  signTransaction({
    payload: { kind: "proof", parent, prover, proof: new Uint8Array(), files: [] },
    nonce: 2n,
    secretKey,
  });

describe("the tasks that a Run makes", () => {
  test("two steps: a proof, then its verification", () => {
    const two = run(2);
    expect(firstTask(two)).toEqual({
      run: two.hash,
      step: 0,
      kind: "proof",
      program: program(0),
      proof: null,
    });
    const proof = proofBy(two.hash, program(0));
    expect(nextTask(two, proof)).toEqual({
      run: two.hash,
      step: 1,
      kind: "verification",
      program: program(1),
      proof: proof.hash,
    });
  });

  test("three steps: the middle one proves", () => {
    const three = run(3);
    expect(nextTask(three, proofBy(three.hash, program(0)))?.kind).toBe("proof");
    expect(nextTask(three, proofBy(three.hash, program(1)))).toMatchObject({ step: 2, kind: "verification" });
  });

  test("one step ends with its Proof; no step makes nothing; a stranger's Proof makes nothing", () => {
    expect(nextTask(run(1), proofBy(run(1).hash, program(0)))).toBeNull();
    expect(firstTask(run(0))).toBeNull();
    expect(nextTask(run(2), proofBy(run(2).hash, program(9)))).toBeNull();
  });
});
