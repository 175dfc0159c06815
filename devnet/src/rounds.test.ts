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

it("rounds that took long leave none behind", async () => {
  let begun = 0;
  const ends: (() => void)[] = [];
  const rounds = createRounds(() => {
    begun += 1;
    return new Promise((resolve) => void ends.push(resolve));
  }, 1);
  // Dozens of ticks later.
  await delay(60);
  expect(begun).toBe(1);
  ends[0]!();
  while (begun < 2) await delay(1);
  await delay(60);
  const disposed = rounds[Symbol.asyncDispose]();
  ends[1]!();
  await disposed;
  expect(begun).toBe(2);
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
