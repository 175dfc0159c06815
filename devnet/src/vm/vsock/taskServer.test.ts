import { mkdtemp, rm } from "node:fs/promises";
import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTaskExchange, type TaskExchange } from "./taskExchange.ts";
import { createTaskServer, TASK_SERVER_LIMITS, type TaskServer } from "./taskServer.ts";

const PROTO = fileURLToPath(new URL("../../../../shim/proto/vm_service.proto", import.meta.url));
const loaded = grpc.loadPackageDefinition(loader.loadSync(PROTO, { keepCase: true, enums: String }));
const HASH = "ab".repeat(32);
const TASK = { txHash: HASH, name: "7-x", args: ["", "é"], files: ["/workspace/in"] };
const CHECKSUM = Buffer.alloc(32, 1);

let folder = "";
let path = "";
let listener: Server;
let server: TaskServer;
let exchange: TaskExchange;
/** As calls and connections are few a second. */
const RARELY = { interval: 300 };
const sockets = new Set<Socket>();
const clients: { close(): void }[] = [];

async function start(limits: Partial<Record<keyof typeof TASK_SERVER_LIMITS, number>> = {}): Promise<void> {
  exchange = createTaskExchange(TASK);
  server = createTaskServer(exchange, { ...TASK_SERVER_LIMITS, ...limits });
  listener = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    server.accept(socket);
  });
  await new Promise<void>((resolve) => listener.listen(path, resolve));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gv-server-"));
  path = join(folder, "s");
});
afterEach(async () => {
  for (const client of clients.splice(0)) client.close();
  server[Symbol.dispose]();
  await new Promise<void>((resolve) => listener.close(() => resolve()));
  await expect.poll(() => sockets.size).toBe(0);
  await rm(folder, { recursive: true, force: true });
});

/** @grpc/grpc-js: nothing of ours. */
function createPeer() {
  const { VMService } = loaded.vm_service as unknown as { VMService: typeof grpc.Client };
  const client = new VMService(`unix:${path}`, grpc.credentials.createInsecure()) as grpc.Client &
    Record<string, (request: object, done: (error: grpc.ServiceError | null, value: object) => void) => void>;
  clients.push(client);
  const call = (name: string) => (request: object) =>
    new Promise<object>((resolve, reject) => {
      client[name]?.(request, (error, value) => (error ? reject(error) : resolve(value)));
    });
  return { getTask: call("GetTask"), submitResult: call("SubmitResult") };
}

describe("a client of another make", () => {
  test("gets the task, hands back its result, and then there is no task", async () => {
    await start();
    const { getTask, submitResult } = createPeer();
    const { txHash: tx_hash, ...rest } = TASK;
    expect(await getTask({})).toEqual({ task: { tx_hash, ...rest } });
    const data = Buffer.alloc(8 * 2 ** 20, 7);
    const files = [{ path: "/workspace/out", checksum: CHECKSUM }];
    expect(await submitResult({ tx_hash, task: { data, files } })).toEqual({});
    const { submitted } = exchange;
    if (submitted?.kind !== "ok") throw new Error("no result was taken");
    // Compared at once: element by element it would take a minute.
    expect(data.equals(submitted.data)).toBe(true);
    expect(submitted.files).toEqual(files);
    expect(await getTask({})).toEqual({ error: "Unavailable" });
    // Its answer may have been lost; what it says now comes too late.
    expect(await submitResult({ tx_hash, error: "Failed" })).toEqual({});
    expect(exchange.submitted?.kind).toBe("ok");
  });

  test("can say that it failed", async () => {
    await start();
    await createPeer().submitResult({ tx_hash: HASH, error: "Failed" });
    expect(exchange.submitted).toEqual({ kind: "failed" });
  });

  test.each([
    [
      "another task's result",
      { tx_hash: "cd", task: { data: "", files: [] } },
      /machine's task is ab.* not cd/,
    ],
    ["no result", { tx_hash: HASH }, /no result/],
    [
      "a checksum of 31 bytes",
      { tx_hash: HASH, task: { files: [{ path: "/w", checksum: Buffer.alloc(31) }] } },
      /31 bytes/,
    ],
    [
      "18 MiB of data",
      { tx_hash: HASH, task: { data: Buffer.alloc(18 * 2 ** 20), files: [] } },
      /hand large data over as files/,
    ],
    [
      "too many files",
      { tx_hash: HASH, task: { files: Array(10_001).fill({ path: "/w", checksum: CHECKSUM }) } },
      /pack them/,
    ],
  ])("is refused %s", async (_, request, problem) => {
    await start();
    await expect(createPeer().submitResult(request)).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      details: expect.stringMatching(problem),
    });
    expect(exchange.submitted).toBeNull();
  });
});

/** Raw HTTP/2: the status of one call, or how it ended. */
function call(session: ClientHttp2Session, headers: object, body: Buffer | null): Promise<string> {
  return new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/vm_service.VMService/SubmitResult",
      "content-type": "application/grpc",
      ...headers,
    });
    let status = "none";
    const see = (fields: Record<string, unknown>) => {
      if (fields["grpc-status"] !== undefined) status = String(fields["grpc-status"]);
    };
    stream.on("response", see);
    stream.on("trailers", see);
    stream.on("error", () => {});
    stream.on("data", () => {});
    stream.on("close", () => resolve(status));
    if (body !== null) stream.end(body);
  });
}

function openSession(): ClientHttp2Session {
  const session = connectHttp2("http://x", { createConnection: () => connect(path) });
  session.on("error", () => {});
  clients.push({ close: () => session.destroy() });
  return session;
}

const ended = (socket: Socket) =>
  new Promise<void>((resolve) => {
    socket.on("error", () => {});
    socket.on("data", () => {});
    socket.once("close", () => resolve());
  });

describe("a hostile client", () => {
  test.each([
    ["another service", { ":path": "/vm_service.VMService/Nope" }, Buffer.alloc(5), "12"],
    ["a GET", { ":method": "GET" }, Buffer.alloc(0), "12"],
    ["another content", { "content-type": "text/html" }, Buffer.alloc(5), "12"],
    ["no message", {}, Buffer.alloc(0), "3"],
    ["a head that is cut", {}, Buffer.alloc(4), "3"],
    ["a message shorter than it says", {}, Buffer.from([0, 0, 0, 0, 9, 1]), "3"],
    ["a length of 4 GiB", {}, Buffer.from([0, 255, 255, 255, 255, 1]), "3"],
    ["a compressed message", {}, Buffer.from([1, 0, 0, 0, 0]), "12"],
    ["an odd flag", {}, Buffer.from([2, 0, 0, 0, 0]), "3"],
    ["no protobuf", {}, Buffer.from([0, 0, 0, 0, 1, 255]), "3"],
  ])("is answered: %s", async (_, headers, body, status) => {
    await start();
    expect(await call(openSession(), headers, body)).toBe(status);
    expect(exchange.submitted).toBeNull();
  });

  test("has so many bytes for all its calls together, and they come back", async () => {
    await start({ bufferedBytes: 100_000 });
    const session = openSession();
    const half = Buffer.alloc(60_000);
    const held = session.request({
      ":method": "POST",
      ":path": "/vm_service.VMService/GetTask",
      "content-type": "application/grpc",
    });
    held.on("error", () => {});
    await new Promise<void>((resolve) => held.write(half, () => resolve()));
    const other = openSession();
    await expect.poll(() => call(other, {}, half), RARELY).toBe("8");
    held.close(constants.NGHTTP2_CANCEL);
    // Within the limit again: now it is only no message.
    await expect.poll(() => call(other, {}, half), RARELY).toBe("3");
  });

  test("has so many connections", async () => {
    await start({ connections: 2 });
    const open = [openSession(), openSession()];
    await Promise.all(
      open.map((session) => new Promise((resolve) => session.once("remoteSettings", resolve))),
    );
    await ended(connect(path));
    open[0]?.destroy();
    await expect.poll(() => call(openSession(), {}, Buffer.alloc(0)), RARELY).toBe("3");
  });

  test("has so many streams", async () => {
    await start({ streamsPerConnection: 2 });
    const session = openSession();
    const settings = await new Promise((resolve) => session.once("remoteSettings", resolve));
    expect(settings).toMatchObject({ maxConcurrentStreams: 2 });
    const calls = Array.from({ length: 20 }, () => call(session, {}, Buffer.alloc(0)));
    expect(new Set(await Promise.all(calls))).toEqual(new Set(["3"]));
  });

  test.each([
    ["another task, cut within a character", { tx_hash: `${"a".repeat(63)}😀`, task: { files: [] } }],
    [
      "a file, cut within a character",
      { tx_hash: HASH, task: { files: [{ path: `/workspace/${"a".repeat(244)}😀`, checksum: HASH }] } },
    ],
  ])("is answered what it named: %s", async (_, request) => {
    await start();
    const { submitResult } = createPeer();
    await expect(submitResult(request)).rejects.toMatchObject({ code: grpc.status.INVALID_ARGUMENT });
  });

  test("that calls or connects too often is cut off, and others of it are not", async () => {
    await start({ callsPerSecond: 5, connectionsPerSecond: 2 });
    const session = openSession();
    let answered = 0;
    while (answered < 300 && (await call(session, {}, Buffer.alloc(0))) === "3") answered++;
    expect(answered).toBeGreaterThanOrEqual(10);
    expect(answered).toBeLessThan(300);
    await expect.poll(() => session.destroyed).toBe(true);
    expect(await call(openSession(), {}, Buffer.alloc(0))).toBe("3");
    for (let tries = 0; tries < 20; tries++) await ended(connect(path).end());
    expect(await call(openSession(), {}, Buffer.alloc(0))).toBe("none");
  });

  test("is dropped when it says nothing, or no HTTP/2", async () => {
    await start({ idleMs: 100 });
    await ended(connect(path));
    const noise = connect(path, () => noise.write(Buffer.alloc(100_000, 65)));
    await ended(noise);
    const half = connect(path, () => half.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0"));
    await ended(half);
  });

  test("keeps its connection through a long proof", async () => {
    await start({ idleMs: 1_000 });
    const session = openSession();
    const asked = { ":path": "/vm_service.VMService/GetTask" };
    expect(await call(session, asked, Buffer.alloc(5))).toBe("0");
    await delay(2_000);
    expect(session.destroyed).toBe(false);
    // Answered, if with a refusal.
    expect(await call(session, {}, Buffer.alloc(0))).toBe("3");
  });

  test("that resets what it begins, again and again, does not hold up the others", async () => {
    await start();
    const session = openSession();
    for (let round = 0; round < 2_000 && !session.destroyed; round++) {
      const stream = session.request({ ":method": "POST", ":path": "/vm_service.VMService/GetTask" });
      stream.on("error", () => {});
      stream.close(constants.NGHTTP2_CANCEL);
      if (round % 100 === 0) await delay(1);
    }
    expect(await createPeer().getTask({})).toMatchObject({ task: { tx_hash: HASH } });
  });
});
