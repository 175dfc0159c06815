// `npm run bench -- p2p`: encrypted throughput between two nodes, and the time until a transaction is at all of ten,
// beside the same bytes over a plain socket.
import { type AddressInfo, connect, createServer } from "node:net";
import { createTestPeer, proofOf, type TestPeer, until } from "../fixtures/testPeer.ts";

const MIB = 2 ** 20;
const NODES = 10;
const ROUNDS = 15;
const THROUGHPUT_COUNT = 24;
const THROUGHPUT_BYTES = 4 * MIB;

/** Milliseconds until so many bytes went over a loopback socket, and one byte came back. */
async function plainSocketMs(bytes: number): Promise<number> {
  const server = createServer((socket) => {
    let received = 0;
    socket.on("data", (chunk) => {
      received += chunk.length;
      if (received >= bytes) socket.write("!");
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const socket = connect((server.address() as AddressInfo).port, "127.0.0.1");
  await new Promise<void>((resolve) => socket.once("connect", () => resolve()));
  const body = Buffer.alloc(bytes);
  const startedMs = performance.now();
  const answered = new Promise<void>((resolve) => socket.once("data", () => resolve()));
  socket.write(body);
  await answered;
  const ms = performance.now() - startedMs;
  socket.destroy();
  server.close();
  return ms;
}

async function meshOf(count: number): Promise<TestPeer[]> {
  const first = await createTestPeer({ seed: 1 });
  const peers = [first];
  for (let seed = 2; seed <= count; seed++) {
    peers.push(await createTestPeer({ seed, discovery: [first.network.address] }));
  }
  await Promise.all(peers.map(({ network }) => network.untilConnected(count - 1, { timeoutMs: 30_000 })));
  return peers;
}

const median = (values: readonly number[]) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
const line = (what: string, ms: number, plainMs: number) =>
  console.log(
    `${what}: ${ms.toFixed(1)} ms; plain socket ${plainMs.toFixed(1)} ms; ratio ${(ms / plainMs).toFixed(1)}`,
  );

async function throughput(): Promise<void> {
  const [sender, receiver] = await meshOf(2);
  const sent = Array.from({ length: THROUGHPUT_COUNT }, (_, nonce) => proofOf(THROUGHPUT_BYTES, nonce));
  const startedMs = performance.now();
  // Sent one behind the other, not awaited: the ratio is of ciphers, frames and codecs, not of waiting. What does not
  // fit into the queue is announced, and asked for, as with any peer.
  for (const tx of sent) sender!.submit(tx);
  await until("all are there", () => receiver!.transactions.size === sent.length, 60_000);
  const ms = performance.now() - startedMs;
  const mib = (THROUGHPUT_COUNT * THROUGHPUT_BYTES) / MIB;
  line(
    `${mib} MiB in transactions of 4 MiB, pipelined, ${(mib / (ms / 1_000)).toFixed(0)} MiB/s`,
    ms,
    await plainSocketMs(mib * MIB),
  );
  for (const peer of [receiver!, sender!]) await peer[Symbol.asyncDispose]();
}

async function spread(bytes: number): Promise<void> {
  const peers = await meshOf(NODES);
  const times: number[] = [];
  const plain: number[] = [];
  for (let nonce = 0; nonce < ROUNDS; nonce++) {
    const tx = proofOf(bytes, nonce);
    const startedMs = performance.now();
    peers[nonce % NODES]!.submit(tx);
    await until("all have it", () => peers.every(({ transactions }) => transactions.has(tx.hash)), 60_000);
    times.push(performance.now() - startedMs);
    plain.push(await plainSocketMs(bytes * (NODES - 1)));
  }
  line(
    `a transaction of ${bytes} bytes at all of ${NODES} nodes, median of ${ROUNDS}`,
    median(times),
    median(plain),
  );
  for (const peer of peers) await peer[Symbol.asyncDispose]();
}

await throughput();
await spread(1_000);
await spread(MIB);
