import { publicKeyOf, verifySignature } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { signAnnouncement } from "../wire/nodeSignature.ts";
import { createNodeList } from "./nodeList.ts";

const T0 = 1_800_000_000_000;

function announcementOf(seed: number, sentAtMs: number, state: "alive" | "leaving" = "alive"): Uint8Array {
  const secretKey = new Uint8Array(32).fill(seed);
  const address = { host: "10.0.0.1", port: 9_999 };
  const resources = { memMib: 1, cpus: 1, gpus: 0 };
  const publicKey = publicKeyOf(secretKey);
  return signAnnouncement({ publicKey, sentAtMs, state, resources, address, httpPort: null }, secretKey);
}
const keyOf = (seed: number) => publicKeyOf(new Uint8Array(32).fill(seed));

function listOf(maxNodes = 3) {
  const clock = { ms: T0 };
  const deps = { verify: verifySignature, now: () => clock.ms };
  const list = createNodeList(deps, { ownKey: keyOf(99), timeoutMs: 1_000, maxNodes });
  return { list, clock, verdictOf: (bytes: Uint8Array) => list.hear(bytes, null).verdict };
}

test("what is later is new; copies, old ones, far clocks and one's own are passed over", () => {
  const { verdictOf, list } = listOf();
  expect(verdictOf(announcementOf(1, T0))).toBe("new");
  expect(verdictOf(announcementOf(1, T0))).toBe("old");
  expect(verdictOf(announcementOf(1, T0 - 1))).toBe("old");
  expect(verdictOf(announcementOf(2, T0 + 300_001))).toBe("old");
  expect(verdictOf(announcementOf(99, T0))).toBe("old");
  expect(list.alive().map(({ publicKey }) => publicKey)).toEqual([keyOf(1)]);
  expect(verdictOf(announcementOf(1, T0 + 1, "leaving"))).toBe("new");
  expect(list.alive()).toEqual([]);
});

test("a changed byte anywhere is a lie, or no announcement", () => {
  const bytes = announcementOf(1, T0);
  for (let at = 0; at < bytes.length; at += 7) {
    const changed = Uint8Array.from(bytes);
    changed[at]! ^= 1;
    const { verdictOf, list } = listOf();
    expect(verdictOf(changed), `byte ${at}`).not.toBe("new");
    expect(list.alive()).toEqual([]);
  }
});

test("invented nodes can't keep out one that is connected", () => {
  const { list, verdictOf } = listOf(3);
  for (let seed = 1; seed <= 5; seed++) verdictOf(announcementOf(seed, T0));
  expect(list.alive()).toHaveLength(3);
  expect(list.hear(announcementOf(9, T0), keyOf(9)).verdict).toBe("new");
  expect(list.alive()).toHaveLength(3);
  expect(list.alive().map(({ publicKey }) => publicKey)).toContain(keyOf(9));
});

test("who is silent is forgotten", () => {
  const { list, clock, verdictOf } = listOf();
  verdictOf(announcementOf(1, T0));
  clock.ms += 1_000;
  expect(list.alive()).toEqual([]);
  expect(list.expire()).toBe(true);
  expect(list.expire()).toBe(false);
});
