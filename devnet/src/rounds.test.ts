import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { createRounds } from "./rounds.ts";

it("begins at once, has one round at a time, and ends with the last", async () => {
  let begun = 0;
  let atWork = 0;
  const rounds = createRounds(async () => {
    begun += 1;
    atWork += 1;
    expect(atWork).toBe(1);
    await delay(20);
    atWork -= 1;
  }, 5);
  expect(begun).toBe(1);
  while (begun < 3) await delay(5);
  await rounds[Symbol.asyncDispose]();
  const ended = begun;
  expect(atWork).toBe(0);
  await delay(30);
  expect(begun).toBe(ended);
});

it("goes on after a first round that was begun before", async () => {
  let begun = 0;
  let endFirst = (): void => {};
  const first = new Promise<void>((resolve) => {
    endFirst = resolve;
  });
  const rounds = createRounds(
    async () => {
      begun += 1;
    },
    5,
    first,
  );
  await delay(20);
  expect(begun).toBe(0);
  endFirst();
  while (begun < 1) await delay(5);
  await rounds[Symbol.asyncDispose]();
});
