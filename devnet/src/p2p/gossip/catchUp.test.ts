import { pino } from "pino";
import { expect, test } from "vitest";
import { until } from "../../../../test/fixtures/testPeer.ts";
import type { Peer } from "../mesh/peer.ts";
import type { PeerMessage } from "../wire/peerMessage.ts";
import { createCatchUp } from "./catchUp.ts";
import type { WantOutcome } from "./wants.ts";

/** A peer whose list is `a`, `b`, one item a page, and a door that takes what `outcomes` say. */
function scene(outcomes: Record<string, WantOutcome>) {
  const items = ["a", "b"];
  const clock = { ms: 0 };
  const taken: string[] = [];
  const asked: (string | null)[] = [];
  const catchUp = createCatchUp({
    log: pino({ level: "silent" }),
    pageTimeoutMs: 1_000,
    retryMs: 10_000,
    now: () => clock.ms,
    async fetch(_peer, _kind, ids) {
      const missing = ids.filter((id) => !taken.includes(id));
      taken.push(...missing.filter((id) => (outcomes[id] ?? "done") === "done"));
      return missing.map((id) => outcomes[id] ?? "done");
    },
  });
  const ends = { count: 0 };
  const peer = {
    identity: "key:1",
    info: { address: "10.0.0.1:1" },
    send(message: PeerMessage) {
      if (message.type !== "since") return;
      if (message.kind === "report") ends.count += 1;
      else asked.push(message.cursor);
      const from = Number(message.cursor ?? 0);
      const ids = message.kind === "report" ? [] : items.slice(from, from + 1);
      const cursor = ids.length === 0 ? message.cursor : String(from + 1);
      queueMicrotask(() => catchUp.page(peer, { type: "page", kind: message.kind, cursor, ids }));
    },
  } as unknown as Peer;
  const round = async () => {
    const before = ends.count;
    catchUp.start(peer);
    await until("a round is over", () => ends.count > before);
    // The session ends with the answer to the last question.
    await new Promise((resolve) => setTimeout(resolve, 5));
  };
  return { round, clock, taken, asked, outcomes };
}

test("an item that can't be taken in keeps out the later ones for some rounds only, and is asked for again", async () => {
  const { round, clock, taken, outcomes } = scene({ a: "failed" });
  await round();
  await round();
  expect(taken).toEqual([]);
  await round();
  expect(taken).toEqual(["b"]);
  outcomes.a = "done";
  await round();
  expect(taken).toEqual(["b"]);
  clock.ms = 10_000;
  await round();
  expect(taken).toEqual(["b", "a"]);
});

test("an item that waits keeps nothing out, and is asked for again in case it was let go", async () => {
  const { round, clock, taken, asked, outcomes } = scene({ a: "unsure" });
  await round();
  expect(taken).toEqual(["b"]);
  clock.ms = 10_000;
  outcomes.a = "done";
  await round();
  expect(taken).toEqual(["b", "a"]);
  asked.length = 0;
  await round();
  expect(asked).toEqual(["2"]);
});
