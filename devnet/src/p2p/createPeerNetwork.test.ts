import { isDeepStrictEqual } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  createTestPeer,
  proofOf,
  type TestPeer,
  type TestPeerOptions,
  until,
} from "../../../test/fixtures/testPeer.ts";
import { createStack, type DisposeStack } from "../disposeStack.ts";

let stack: DisposeStack;
beforeEach(() => {
  stack = createStack();
});
afterEach(() => stack[Symbol.asyncDispose]());

const peerOf = async (options: TestPeerOptions): Promise<TestPeer> =>
  stack.use(await createTestPeer(options));
const addressesOf = (peer: TestPeer) => peer.network.peers().map(({ address }) => address);

async function meshOf(count: number, options: Partial<TestPeerOptions> = {}): Promise<TestPeer[]> {
  const first = await peerOf({ seed: 1, ...options });
  const peers = [first];
  for (let seed = 2; seed <= count; seed++) {
    peers.push(await peerOf({ seed, discovery: [first.network.address], ...options }));
  }
  await Promise.all(peers.map(({ network }) => network.untilConnected(count - 1, { timeoutMs: 30_000 })));
  return peers;
}

/** Below those that the system gives to connections: nobody takes it in between. */
const somePort = () => 20_000 + Math.floor(Math.random() * 12_000);

test("five nodes that know one of them become a full mesh, one connection a pair", async () => {
  const peers = await meshOf(5);
  await until("all know all", () => peers.every(({ network }) => network.nodes().length === 5));
  for (const peer of peers) {
    const others = peers.filter((other) => other !== peer).map(({ network }) => network.address);
    // Where two dialled each other, one connection goes first.
    await until("each has all others", () => isDeepStrictEqual(addressesOf(peer).sort(), others.sort()));
    for (const info of peer.network.peers()) {
      expect(info).toMatchObject({ protocolVersion: 2, isKeyProven: true, isBeacon: false, httpUrl: null });
    }
    expect(new Set(peer.network.nodes().map(({ publicKey }) => publicKey)).size).toBe(5);
  }
  await until("resources are told", () =>
    peers[0]!.network.peers().every(({ resources }) => resources !== null),
  );
  const told = peers[0]!.network.peers().map(({ resources }) => resources!.cpus);
  expect(told.sort()).toEqual([2, 3, 4, 5]);
  const second = peers[1]!.network.address;
  expect(await peers[0]!.network.metricsOf(second)).toBe("seed 2\n");
});

test("all dial all at once: one connection a pair is left", async () => {
  const ports = Array.from({ length: 4 }, () => somePort());
  const discovery = ports.map((port) => `127.0.0.1:${port}`);
  const peers = await Promise.all(
    ports.map((port, index) => peerOf({ seed: index + 1, discovery, listen: { host: "127.0.0.1", port } })),
  );
  await Promise.all(peers.map(({ network }) => network.untilConnected(3, { timeoutMs: 30_000 })));
  const tx = proofOf(10, 1);
  peers[0]!.submit(tx);
  await until("all have it", () => peers.every(({ transactions }) => transactions.has(tx.hash)));
  await until("each has three", () => peers.every((peer) => addressesOf(peer).length === 3));
});

test("transactions of 0 B to 8 MiB, and reports, reach all, and each door once", async () => {
  const peers = await meshOf(4);
  const sizes = [0, 1, 65_000, 65_519, 65_520, 1_000_000, 8 * 1_024 * 1_024];
  const sent = sizes.map((size, nonce) => proofOf(size, nonce));
  for (const tx of sent) peers[0]!.submit(tx);
  peers[1]!.report(Buffer.from("a report"));
  await until("all have all", () =>
    peers.every(({ transactions, reports }) => transactions.size === sent.length && reports.size === 1),
  );
  for (const peer of peers)
    expect([...peer.transactions.keys()].sort()).toEqual(sent.map(({ hash }) => hash).sort());
  expect(peers.map(({ calls }) => calls.receive)).toEqual([0, ...peers.slice(1).map(() => sent.length)]);
  expect(peers.map(({ calls }) => calls.receiveReport)).toEqual([1, 0, 1, 1]);
});

test("a node that was down catches up with more than a page", { timeout: 120_000 }, async () => {
  const [first, second] = await meshOf(2);
  const sent = Array.from({ length: 1_100 }, (_, nonce) => proofOf(5, nonce));
  for (const tx of sent) first!.submit(tx);
  first!.report(Buffer.from("what failed"));
  await until("the second has all", () => second!.transactions.size === sent.length, 40_000);
  const late = await peerOf({ seed: 3, discovery: [second!.network.address] });
  await until(
    "the third has all",
    () => late.transactions.size === sent.length && late.reports.size === 1,
    40_000,
  );
  expect([...late.transactions.keys()].sort()).toEqual(sent.map(({ hash }) => hash).sort());
});

test("a transaction passes through a node to one that its author can't reach", async () => {
  const middle = await peerOf({ seed: 1 });
  // Neither learns of the other: they take no more than one peer.
  const limits = { maxPeers: 1 };
  const left = await peerOf({ seed: 2, discovery: [middle.network.address], limits });
  const right = await peerOf({ seed: 3, discovery: [middle.network.address], limits });
  await middle.network.untilConnected(2, { timeoutMs: 30_000 });
  const tx = proofOf(100_000, 1);
  left.submit(tx);
  left.report(Buffer.from("from the left"));
  await until("the right has both", () => right.transactions.has(tx.hash) && right.reports.size === 1);
  expect(addressesOf(left)).toEqual([middle.network.address]);
  await until("the left knows of the right", () => left.network.nodes().length === 3);
});

test("peers of version 0 and 1 get what fits, nothing else, and nothing that others sent", async () => {
  const modern = await peerOf({ seed: 1 });
  const other = await peerOf({ seed: 2, discovery: [modern.network.address] });
  const old = await peerOf({ seed: 3, discovery: [modern.network.address], protocolVersion: 1 });
  const oldest = await peerOf({ seed: 4, discovery: [modern.network.address], protocolVersion: 0 });
  const all = [modern, other, old, oldest];
  await Promise.all(all.map(({ network }) => network.untilConnected(3, { timeoutMs: 30_000 })));
  const [small, large, back] = [proofOf(65_100, 1), proofOf(70_000, 2), proofOf(3, 3)];
  modern.submit(small);
  modern.submit(large);
  old.submit(back);
  await until(
    "all have what they can",
    () =>
      [old, oldest].every(
        ({ transactions }) => transactions.has(small.hash) && transactions.has(back.hash),
      ) && [modern, other].every(({ transactions }) => transactions.size === 3),
  );
  expect(modern.tooLarge).toHaveLength(1);
  expect(modern.tooLarge[0]).toMatchObject({ hash: large.hash });
  expect(modern.tooLarge[0]!.peers.toSorted()).toEqual(
    [old, oldest].map(({ network }) => network.address).sort(),
  );
  expect(old.transactions.size).toBe(2);
  // Of a node of version 0 no resources can be asked; keys are told, not proven.
  await until("they told their keys", () =>
    modern.network.peers().every(({ publicKey }) => publicKey !== null),
  );
  expect(
    modern.network
      .peers()
      .map(({ isKeyProven }) => isKeyProven)
      .sort(),
  ).toEqual([false, false, true]);
  expect(modern.network.nodes()).toHaveLength(2);
  const told = [old, oldest].map(({ network }) => modern.network.metricsOf(network.address));
  // Version 0 has no question for metrics.
  expect(await Promise.all(told)).toEqual(["seed 3\n", null]);
});

test("another passphrase keeps nodes apart", async () => {
  const first = await peerOf({ seed: 1 });
  const second = await peerOf({ seed: 2, passphrase: "another", discovery: [first.network.address] });
  await expect(second.network.untilConnected(1, { timeoutMs: 300 })).rejects.toMatchObject({
    code: "PEERS_MISSING",
    context: { wanted: 1, connected: 0 },
  });
  expect(first.network.peers()).toEqual([]);
});

test("a node does not talk to itself, by any of its names", async () => {
  const port = somePort();
  const peer = await peerOf({
    seed: 1,
    listen: { host: "127.0.0.1", port },
    discovery: [`127.0.0.1:${port}`, `localhost:${port}`],
  });
  await expect(peer.network.untilConnected(1, { timeoutMs: 300 })).rejects.toMatchObject({
    code: "PEERS_MISSING",
  });
});

test("a peer that goes says so, is forgotten, and is found again when it is back", async () => {
  const [first, second] = await meshOf(2);
  const listen = { host: "127.0.0.1", port: somePort() };
  const third = await peerOf({ seed: 3, listen, discovery: [first!.network.address] });
  await until("all know all", () => [first!, second!].every(({ network }) => network.nodes().length === 3));
  await third.network[Symbol.asyncDispose]();
  await until("it is gone", () => [first!, second!].every(({ network }) => network.nodes().length === 2));
  const tx = proofOf(9, 1);
  first!.submit(tx);
  // It knows nobody: the others dial it again.
  const back = await peerOf({ seed: 3, listen });
  await back.network.untilConnected(2, { timeoutMs: 30_000 });
  await until("it caught up", () => back.transactions.has(tx.hash));
});

test("a peer that lies is banned, and the others lose nothing", async () => {
  const isLie = ({ nonce }: { nonce: bigint }) => nonce === 13n;
  const [first, second] = await meshOf(2, { isLie });
  const liar = await peerOf({ seed: 9, discovery: [first!.network.address] });
  await liar.network.untilConnected(2, { timeoutMs: 30_000 });
  liar.submit(proofOf(1, 13));
  await until("it is dropped", () => liar.network.peers().length === 0);
  const tx = proofOf(1, 14);
  first!.submit(tx);
  await until("the honest have it", () => second!.transactions.has(tx.hash));
  await new Promise((resolve) => setTimeout(resolve, 300));
  // It dials again and again, and is known by its key as soon as it has proven it: for a moment it may see a peer.
  await until("it stays out", () => liar.network.peers().length === 0);
  expect(addressesOf(first!)).toEqual([second!.network.address]);
});

test("a peer with wrong files is banned, and comes with no other key while it names the same file server", async () => {
  const [first, second] = await meshOf(2);
  const discovery = [first!.network.address];
  const other = await peerOf({ seed: 8, discovery, httpPort: 1_235 });
  const liar = await peerOf({ seed: 9, discovery, httpPort: 1_234 });
  await liar.network.untilConnected(3, { timeoutMs: 30_000 });
  const publicKey = liar.network.nodes()[0]?.publicKey;
  const { banFileServer, banned } = first!.network;
  banFileServer("http://127.0.0.1:1233", "nobody has it");
  expect(banned()).toEqual([]);
  banFileServer("http://127.0.0.1:1234", "a wrong file");
  expect(banned()).toEqual([
    { address: liar.network.address, publicKey, reason: "a wrong file", untilMs: expect.any(Number) },
  ]);
  const kept = [second!, other].map(({ network }) => network.address).sort();
  expect(addressesOf(first!).sort()).toEqual(kept);
  const again = await peerOf({ seed: 10, discovery, httpPort: 1_234 });
  // The others, of which it hears at the first, have no reason.
  await until("the second knows both", () =>
    [liar, again].every(({ network }) => addressesOf(second!).includes(network.address)),
  );
  expect(addressesOf(first!).sort()).toEqual(kept);
});

test("a beacon brings nodes together, and gets no transactions", async () => {
  const beacon = await peerOf({ seed: 1, deps: { secretKey: null, stores: null } });
  const discovery = [beacon.network.address];
  const nodes = [await peerOf({ seed: 2, discovery }), await peerOf({ seed: 3, discovery })];
  await Promise.all(nodes.map(({ network }) => network.untilConnected(2, { timeoutMs: 30_000 })));
  const tx = proofOf(1, 1);
  nodes[0]!.submit(tx);
  await until("the node has it", () => nodes[1]!.transactions.has(tx.hash));
  expect(beacon.calls.receive).toBe(0);
  expect(nodes[0]!.network.nodes()).toHaveLength(2);
});

test("an address that is not one is refused at once", async () => {
  for (const discovery of [["nowhere"], ["host:0"], ["::1:5"], [""]]) {
    await expect(createTestPeer({ seed: 1, discovery })).rejects.toMatchObject({
      code: "P2P_ADDRESS_INVALID",
    });
  }
});
