import { expect, test } from "vitest";
import type { Peer } from "../mesh/peer.ts";
import { createWants } from "./wants.ts";

/** A peer is only a name here. */
const peerOf = (name: string) => ({ name }) as unknown as Peer;

function wantsOf(options: { maxWanted?: number; maxWantedOfOne?: number } = {}) {
  const clock = { ms: 0 };
  const asked: [Peer, string][] = [];
  const wants = createWants({
    maxWanted: options.maxWanted ?? 100,
    maxWantedOfOne: options.maxWantedOfOne ?? 50,
    maxAsked: 4,
    timeoutMs: 1_000,
    now: () => clock.ms,
    ask: (peer, _, ids) => asked.push(...ids.map((id): [Peer, string] => [peer, id])),
  });
  return { wants, clock, asked };
}

test("a forged copy does not end the search for the true one", async () => {
  const { wants, asked } = wantsOf();
  const [liar, honest] = [peerOf("liar"), peerOf("honest")];
  const settled = wants.add("transaction", "a", liar);
  void wants.add("transaction", "a", honest);
  wants.arrived("transaction", "a");
  wants.refused("transaction", "a", liar);
  expect(asked).toEqual([
    [liar, "a"],
    [honest, "a"],
  ]);
  wants.settle("transaction", "a", "done");
  expect(await settled).toBe("done");
});

test("a forged copy of one that was not asked does not keep the answer from being late", async () => {
  const { wants, clock } = wantsOf();
  const settled = wants.add("transaction", "a", peerOf("silent"));
  wants.arrived("transaction", "a");
  wants.refused("transaction", "a", peerOf("liar"));
  clock.ms = 1_001;
  wants.tick();
  expect(await settled).toBe("failed");
});

test("who names what nobody has does not keep out the others", async () => {
  const { wants } = wantsOf({ maxWanted: 100, maxWantedOfOne: 50 });
  const liar = peerOf("liar");
  for (let at = 0; at < 1_000; at++) void wants.add("transaction", `junk ${at}`, liar);
  expect(wants.size).toBe(50);
  const settled = wants.add("transaction", "a", peerOf("honest"));
  wants.settle("transaction", "a", "done");
  expect(await settled).toBe("done");
  wants.peerLeft(liar);
  expect(wants.size).toBe(0);
  void wants.add("transaction", "again", liar);
  expect(wants.size).toBe(1);
});

test("a late or leaving peer's items are asked of the others, the last one's are failed", async () => {
  const { wants, clock, asked } = wantsOf();
  const [slow, leaving] = [peerOf("slow"), peerOf("leaving")];
  const settled = wants.add("transaction", "a", slow);
  void wants.add("transaction", "a", leaving);
  clock.ms = 1_001;
  wants.tick();
  expect(asked.at(-1)).toEqual([leaving, "a"]);
  wants.peerLeft(leaving);
  expect(await settled).toBe("failed");
});
