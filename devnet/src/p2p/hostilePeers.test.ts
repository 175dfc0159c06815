import { createHash } from "node:crypto";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { encodeTransaction, publicKeyOf } from "gevulot-sdk/protocol";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openRawPeer, type RawPeer, rawPeerOf } from "../../../test/fixtures/rawPeer.ts";
import {
  createTestPeer,
  proofOf,
  type TestPeer,
  type TestPeerOptions,
  until,
} from "../../../test/fixtures/testPeer.ts";
import { createStack, type DisposeStack } from "../disposeStack.ts";
import { signAnnouncement } from "./wire/nodeSignature.ts";

let stack: DisposeStack;
beforeEach(() => {
  stack = createStack();
});
afterEach(() => stack[Symbol.asyncDispose]());

const peerOf = async (options: TestPeerOptions): Promise<TestPeer> =>
  stack.use(await createTestPeer(options));
const rawPeer = async (node: TestPeer, version = 2): Promise<RawPeer> =>
  stack.use(rawPeerOf(await openRawPeer(node.network.address, version)));

/** An honest pair; whatever a liar does, a transaction of one must reach the other. */
async function pairOf(options: Partial<TestPeerOptions> = {}): Promise<[TestPeer, TestPeer]> {
  const first = await peerOf({ seed: 1, ...options });
  const second = await peerOf({ seed: 2, discovery: [first.network.address], ...options });
  await second.network.untilConnected(1, { timeoutMs: 30_000 });
  return [first, second];
}
async function expectWhole([first, second]: [TestPeer, TestPeer], nonce: number): Promise<void> {
  const tx = proofOf(5, nonce);
  first.submit(tx);
  await until("the honest have it", () => second.transactions.has(tx.hash));
}

test("an endless message is cut off, and its sender dropped; the others of the same address stay", async () => {
  const pair = await pairOf();
  const liar = await rawPeer(pair[0]);
  await liar.hello();
  const chunk = Buffer.alloc(65_519);
  for (let at = 0; at < 200 && !liar.isClosed; at++) await liar.sendFrame(chunk);
  await until("it is dropped", () => liar.isClosed);
  await expectWhole(pair, 101);
});

test("half handshakes keep nobody out", async () => {
  const node = await peerOf({ seed: 1, limits: { maxHandshakes: 8 } });
  const port = Number(node.network.address.split(":")[1]);
  const sockets: Socket[] = [];
  stack.defer(() => sockets.forEach((socket) => void socket.destroy()));
  for (let at = 0; at < 40; at++) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    sockets.push(socket);
    socket.on("connect", () => socket.write(Buffer.of(0, 48, 1, 2, 3)));
  }
  await until("they are there", () => sockets.filter(({ connecting }) => !connecting).length === 40);
  const honest = await peerOf({ seed: 2, discovery: [node.network.address] });
  await honest.network.untilConnected(1, { timeoutMs: 20_000 });
  await until("the others are closed", () => sockets.filter(({ closed }) => !closed).length <= 8);
});

test("20,000 duplicates: the door is called once, the sender is dropped, the others lose nothing", async () => {
  const pair = await pairOf();
  const liar = await rawPeer(pair[0]);
  await liar.hello();
  const bytes = encodeTransaction(proofOf(5, 50));
  for (let sent = 0; sent < 20_000 && !liar.isClosed; sent++) {
    await liar.send({ type: "item", kind: "transaction", bytes });
  }
  await until("it is dropped", () => liar.isClosed);
  expect(pair[0].calls.receive).toBe(1);
  await expectWhole(pair, 102);
});

test("a wrong announcement bans its sender, by key: another on the same address may come", async () => {
  const pair = await pairOf();
  const liar = await rawPeer(pair[0]);
  await liar.hello();
  await liar.send({ type: "announcement", bytes: new Uint8Array(200).fill(4) });
  await until("it is dropped", () => liar.isClosed);
  const third = await peerOf({ seed: 3, discovery: [pair[0].network.address] });
  await third.network.untilConnected(2, { timeoutMs: 30_000 });
  await expectWhole(pair, 103);
});

test("a peer that asks and does not read gets no more than a bounded queue", async () => {
  const limits = { maxQueuedBytes: 2 ** 20, stallMs: 300 };
  const pair = await pairOf({ limits });
  for (let nonce = 0; nonce < 1_100; nonce++) pair[0].transactions.set(proofIdOf(nonce), new Uint8Array(9));
  const liar = await rawPeer(pair[0]);
  await liar.hello();
  liar.stopReading();
  for (let at = 0; at < 3_000 && !liar.isClosed; at++) {
    await liar.send({ type: "since", kind: "transaction", cursor: null });
  }
  await until("it is dropped", () => pair[0].network.peers().length === 1);
});

test("a peer that falls silent is dropped, one that pings is not", async () => {
  const node = await peerOf({ seed: 1, limits: { silenceMs: 2_000, pingMs: 50 } });
  const honest = await peerOf({ seed: 2, discovery: [node.network.address], limits: { pingMs: 50 } });
  const silent = await rawPeer(node);
  await silent.hello();
  await until("both are there", () => node.network.peers().length === 2);
  await until("the silent one is gone", () => silent.isClosed);
  expect(node.network.peers().map(({ address }) => address)).toEqual([honest.network.address]);
});

test("a link that is cut while both sides run is made again, and nothing is missed", async () => {
  const limits = { silenceMs: 1_000, pingMs: 100 };
  const node = await peerOf({ seed: 1, limits });
  const link = await cuttableLink(Number(node.network.address.split(":")[1]));
  // It takes one peer, so that it does not find the way past the link.
  const far = await peerOf({ seed: 2, discovery: [link.address], limits: { ...limits, maxPeers: 1 } });
  await far.network.untilConnected(1, { timeoutMs: 30_000 });
  link.cut();
  const tx = proofOf(5, 104);
  node.submit(tx);
  await until("both noticed", () => node.network.peers().length + far.network.peers().length === 0);
  link.restore();
  await until("it came", () => far.transactions.has(tx.hash));
});

const proofIdOf = (nonce: number) => createHash("sha256").update(String(nonce)).digest("hex");

/** A forwarder that stops to forward, without closing anything. */
async function cuttableLink(port: number): Promise<{ address: string; cut(): void; restore(): void }> {
  const state = { isCut: false, sockets: new Set<Socket>() };
  const server = createServer((from) => {
    const to = connect(port, "127.0.0.1");
    for (const [socket, other] of [
      [from, to],
      [to, from],
    ] as const) {
      state.sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => void (state.isCut || other.destroy()));
      socket.on("data", (bytes) => void (state.isCut || other.write(bytes)));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  stack.defer(() => {
    for (const socket of state.sockets) socket.destroy();
    server.close();
  });
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    cut: () => {
      state.isCut = true;
    },
    restore: () => {
      for (const socket of state.sockets) socket.destroy();
      state.isCut = false;
    },
  };
}

test("a flood of peers that come leaves room for those that are dialled", async () => {
  const port = 20_000 + Math.floor(Math.random() * 12_000);
  const limits = { maxPeers: 8, dialledPeers: 2 };
  const node = await peerOf({ seed: 1, limits, discovery: [`127.0.0.1:${port}`] });
  for (let at = 0; at < 12; at++) {
    const one = await rawPeer(node);
    await one.hello();
  }
  await until("its places are taken", () => node.network.peers().length === 6);
  const honest = await peerOf({ seed: 2, listen: { host: "127.0.0.1", port } });
  await until("it reaches whom it dials", () => honest.network.peers().length === 1);
  await until("it has it, too", () => node.network.peers().length === 7);
});

test("announcements of invented nodes: so many are looked at, and no more", async () => {
  const limits = { announcementsAtOnce: 20, announcementsPerSecond: 0 };
  const node = await peerOf({ seed: 1, limits });
  const liar = await rawPeer(node);
  await liar.hello();
  for (let at = 0; at < 60; at++) {
    const secretKey = new Uint8Array(32).fill(at + 1, 1);
    const bytes = signAnnouncement(
      {
        publicKey: publicKeyOf(secretKey),
        sentAtMs: Date.now(),
        state: "alive",
        resources: { memMib: 1, cpus: 1, gpus: 0 },
        address: { host: "127.0.0.1", port: 1 },
        httpPort: null,
      },
      secretKey,
    );
    await liar.send({ type: "announcement", bytes });
  }
  // It answers what came after them, so they were read.
  const tx = proofOf(5, 60);
  await liar.send({ type: "item", kind: "transaction", bytes: encodeTransaction(tx) });
  await until("all were read", () => node.transactions.has(tx.hash));
  expect(liar.isClosed).toBe(false);
  // This node is one of them.
  expect(node.network.nodes()).toHaveLength(21);
});
