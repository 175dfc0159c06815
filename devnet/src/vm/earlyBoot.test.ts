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
  await early.settled("never begun");
  const needsA = early.settled("a");
  await new Promise(setImmediate);
  expect(log).toEqual(["begins a"]);
  // That it failed, the start itself will say.
  ends.get("a")?.(new Error("damaged"));
  await needsA;
  await new Promise(setImmediate);
  expect(log).toEqual(["begins a", "begins b"]);
  ends.get("b")?.();
  await Promise.all(both);
  await early.settled("b");
});
