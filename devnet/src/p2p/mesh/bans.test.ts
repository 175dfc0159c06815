import { expect, test } from "vitest";
import { createBans } from "./bans.ts";

const about = { address: "10.0.0.1:9999", publicKey: null, reason: "a lie" };

test("a ban is of a key, for a while", () => {
  let nowMs = 0;
  const bans = createBans(1_000, () => nowMs);
  bans.add(["key:1"], "10.0.0.1", about);
  expect(bans.has(["key:1"])).toBe(true);
  expect(bans.has(["key:2"])).toBe(false);
  expect(bans.mayCome("10.0.0.1")).toBe(true);
  expect(bans.list()).toEqual([{ ...about, untilMs: 1_000 }]);
  nowMs = 1_000;
  expect(bans.list()).toEqual([]);
  expect(bans.has(["key:1"])).toBe(false);
});

test("an address of many liars is slowed down, not shut out; others are not", () => {
  let nowMs = 0;
  const bans = createBans(600_000, () => nowMs);
  for (let key = 0; key < 10; key++) bans.add([`key:${key}`], "10.0.0.1", about);
  let came = 0;
  for (; nowMs < 60_000; nowMs += 100) if (bans.mayCome("10.0.0.1")) came += 1;
  expect(came).toBeGreaterThan(10);
  expect(came).toBeLessThan(16);
  for (let at = 0; at < 100; at++) expect(bans.mayCome("10.0.0.2")).toBe(true);
});

test("nodes of one machine are not slowed down", () => {
  const bans = createBans(600_000, () => 0);
  for (let key = 0; key < 10; key++) bans.add([`key:${key}`], null, about);
  for (let at = 0; at < 100; at++) expect(bans.mayCome("127.0.0.1")).toBe(true);
});
