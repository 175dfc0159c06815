import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  type CrashMatrix,
  createCrashMatrix,
  TRANSITIONS,
  type Victim,
} from "../fixtures/pipeline/crashMatrix.ts";

const VICTIMS: readonly Victim[] = ["stage", "node", "postgres"];

let matrix: CrashMatrix;
let proof: string;
let kills = 0;
let repeats = 0;
beforeAll(async () => {
  matrix = await createCrashMatrix();
  proof = (await matrix.run()).proof;
});
afterAll(async () => {
  console.log(`${kills} kills, ${repeats} tasks repeated`);
  await matrix?.[Symbol.asyncDispose]();
});

describe.each(VICTIMS)("%s is killed during a run of 16 segments", (victim) => {
  it.each(Object.keys(TRANSITIONS))("when: %s", async (at) => {
    const crash = await matrix.run({ victim, at });
    kills += 1;
    repeats += crash.repeats;
    expect(crash).toMatchObject({ status: 0, error: "", proof, tasks: 33, repeatedFinished: [] });
    expect(crash.repeats).toBeLessThanOrEqual(crash.bound);
  });
});
