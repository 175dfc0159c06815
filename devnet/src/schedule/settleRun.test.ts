import fc from "fast-check";
import type { TaskFailure } from "gevulot-sdk";
import type { Transaction } from "gevulot-sdk/protocol";
import { describe, expect, it } from "vitest";
import type { RunFacts } from "../store/readRunFacts.ts";
import { decideWork } from "./settleRun.ts";

const OPTIONS = { provers: 1, verifiers: 3, attempts: 3, deliveryMs: 1_000 };
const SUBMITTED = new Date(1_000_000);
const NOW_MS = SUBMITTED.getTime() + 1;
const [PROVER, VERIFIER] = ["aa".repeat(32), "bb".repeat(32)];
const RUN = {
  hash: "12".repeat(32),
  payload: {
    kind: "run",
    steps: [
      { program: PROVER, args: [], inputs: [] },
      {
        program: VERIFIER,
        args: [],
        inputs: [{ kind: "output", sourceProgram: PROVER, fileName: "/workspace/p" }],
      },
    ],
  },
} as unknown as Transaction;

/** A public key by its number. */
const key = (node: number) => `04${String(node).padStart(128, "0")}`;
const nodesOf = (count: number) =>
  Array.from({ length: count }, (_, node) => ({
    publicKey: key(node),
    resources: { memMib: 4_096, cpus: 2, gpus: 0 },
  }));
const failureOf = (node: number, step: number): TaskFailure => ({
  code: "PROGRAM_FAILED",
  message: `node ${node}`,
  step,
  exitCode: 3,
  signal: null,
  consoleTail: "",
});

/** What may have happened to a Run among so many nodes, the order of happening left out. */
const histories = fc.integer({ min: 1, max: 12 }).chain((count) => {
  const some = fc.uniqueArray(fc.integer({ min: 0, max: count - 1 }), { maxLength: count });
  return fc.record({
    count: fc.constant(count),
    provers: some,
    verifiers: some,
    failedProvers: some,
    failedVerifiers: some,
  });
});
type History = typeof histories extends fc.Arbitrary<infer H> ? H : never;

function factsOf(history: History, assigned = true): RunFacts {
  const proofHash = (node: number) => String(node).padStart(64, "0");
  const proofs = history.provers.map((node) => ({
    hash: proofHash(node),
    prover: PROVER,
    author: key(node),
    at: SUBMITTED,
  }));
  const proof = proofs[0]?.hash ?? null;
  const verified = proof === null ? [] : history.verifiers;
  const rejecting = proof === null ? [] : history.failedVerifiers;
  return {
    run: RUN,
    assigned,
    submittedAt: SUBMITTED,
    proofs: proofs as RunFacts["proofs"],
    verifications: verified.map((node) => ({ proof: proof!, author: key(node) })),
    failures: [
      ...history.failedProvers.map((node) => ({
        author: key(node),
        step: 0,
        proof: null,
        failure: failureOf(node, 0),
      })),
      ...rejecting.map((node) => ({ author: key(node), step: 1, proof, failure: failureOf(node, 1) })),
    ],
    resources: new Map(),
  };
}

describe("decideWork", () => {
  it("gives a new Run to one prover, and its Proof to three verifiers", () => {
    const none = { count: 5, provers: [], verifiers: [], failedProvers: [], failedVerifiers: [] };
    const started = decideWork(factsOf(none), nodesOf(5), OPTIONS, NOW_MS);
    expect(started.works.map(({ step, active }) => [step, active.length])).toEqual([[0, 1]]);
    const proven = decideWork(factsOf({ ...none, provers: [2] }), nodesOf(5), OPTIONS, NOW_MS);
    expect(proven.works.map(({ step, active }) => [step, active.length])).toEqual([
      [1, 3],
      [0, 0],
    ]);
    const everybody = decideWork(factsOf({ ...none, provers: [2] }, false), nodesOf(5), OPTIONS, NOW_MS);
    expect(everybody.works.map(({ active }) => active.length)).toEqual([5, 4]);
  });

  it("replaces who failed, and fails the Run when the attempts are used up, with the last reason", () => {
    const none = { count: 5, provers: [], verifiers: [], failedProvers: [], failedVerifiers: [] };
    const order = [0, 1, 2, 3, 4].filter((node) => node !== 9);
    const failed: number[] = [];
    for (let attempt = 0; attempt < OPTIONS.attempts; attempt += 1) {
      const decided = decideWork(factsOf({ ...none, failedProvers: failed }), nodesOf(5), OPTIONS, NOW_MS);
      expect(decided.failure).toBeNull();
      const [turn] = decided.works[0]!.active;
      failed.push(order.find((node) => key(node) === turn)!);
    }
    expect(new Set(failed).size).toBe(OPTIONS.attempts);
    const decided = decideWork(factsOf({ ...none, failedProvers: failed }), nodesOf(5), OPTIONS, NOW_MS);
    expect(decided.failure).toMatchObject({ code: "PROGRAM_FAILED", message: `node ${failed.at(-1)}` });
  });

  it("asks only nodes that are there, each once, never one that delivered, and no more than are wanted", () => {
    fc.assert(
      fc.property(histories, fc.integer({ min: 0, max: 5 }), (history, windows) => {
        const facts = factsOf(history);
        const nowMs = NOW_MS + windows * OPTIONS.deliveryMs;
        const { works } = decideWork(facts, nodesOf(history.count), OPTIONS, nowMs);
        const alive = new Set(nodesOf(history.count).map(({ publicKey }) => publicKey));
        for (const { step, proof, active } of works) {
          expect(new Set(active).size).toBe(active.length);
          expect(active.length).toBeLessThanOrEqual(step === 0 ? OPTIONS.provers : OPTIONS.verifiers);
          for (const node of active) {
            expect(alive.has(node)).toBe(true);
            const delivered =
              step === 0 ? facts.proofs : facts.verifications.filter((each) => each.proof === proof);
            const isRejected = step === 0 && facts.proofs.some(({ author }) => author === node);
            // A Proof that was rejected is no delivery, but its prover is not asked again either.
            expect(delivered.some(({ author }) => author === node) && !isRejected).toBe(false);
          }
        }
      }),
    );
  });

  it("does not depend on the order in which nodes are known, and a verified Run never fails", () => {
    fc.assert(
      fc.property(histories, fc.boolean(), (history, assigned) => {
        const facts = factsOf(history, assigned);
        const nodes = nodesOf(history.count);
        const decided = decideWork(facts, nodes, OPTIONS, NOW_MS);
        expect(decideWork(facts, [...nodes].reverse(), OPTIONS, NOW_MS)).toEqual(decided);
        if (facts.verifications.length > 0) expect(decided.failure).toBeNull();
        if (decided.settled) expect(decided.works.every(({ active }) => active.length === 0)).toBe(true);
      }),
    );
  });
});
