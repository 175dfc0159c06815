import { expect, test } from "vitest";
import { createEarlyBoot } from "./earlyBoot.ts";

test("one image after the other; who needs one waits for it alone", async () => {
  const log: string[] = [];
  const ends = new Map<string, (error?: Error) => void>();
  const early = createEarlyBoot((path) => {
    log.push(`begins ${path}`);
    return new Promise<void>((resolve, reject) => {
      ends.set(path, (error) => (error ? reject(error) : resolve()));
    });
  });
  const both = [early.begin("a"), early.begin("b")];
  const never = new AbortController().signal;
  await early.settled("never begun", never);
  await new Promise(setImmediate);
  expect(log).toEqual(["begins a"]);
  // Its place in the row is others' business.
  await early.settled("b", never);
  await early.settled("a", AbortSignal.abort());
  await early.settled("a", AbortSignal.timeout(10));
  const needsA = early.settled("a", never);
  // That it failed, the start itself will say.
  ends.get("a")?.(new Error("damaged"));
  await needsA;
  await new Promise(setImmediate);
  expect(log).toEqual(["begins a", "begins b"]);
  ends.get("b")?.();
  await Promise.all(both);
  await early.settled("b", never);
});
