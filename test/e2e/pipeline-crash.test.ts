import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CrashMatrix, createCrashMatrix, type Victim } from "../fixtures/pipeline/crashMatrix.ts";

/** The whole matrix is in test/long. */
const KILLS: readonly (readonly [Victim, string])[] = [
  ["stage", "first segment known"],
  ["node", "prove 3 done"],
  ["postgres", "prove 6 done"],
  ["stage", "agg 1 done"],
  ["node", "snark started"],
];

let matrix: CrashMatrix;
let proof: string;
beforeAll(async () => {
  matrix = await createCrashMatrix();
  const calm = await matrix.run();
  expect(calm).toMatchObject({ status: 0, repeats: 0, tasks: 33 });
  proof = calm.proof;
});
afterAll(async () => {
  await matrix?.[Symbol.asyncDispose]();
});

describe("a process is killed during a run of 16 segments", () => {
  it.each(KILLS)("%s, when: %s", async (victim, at) => {
    const crash = await matrix.run({ victim, at });
    expect(crash).toMatchObject({ status: 0, error: "", proof, tasks: 33, repeatedFinished: [] });
    expect(crash.repeats).toBeLessThanOrEqual(crash.bound);
  });
});
