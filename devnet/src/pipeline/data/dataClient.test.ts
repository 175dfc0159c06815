import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, readdir, readlink, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, credentials, Server, ServerCredentials, status } from "@grpc/grpc-js";
import { GevulotError } from "gevulot-sdk";
import { afterEach, beforeEach, expect, it } from "vitest";
import { bindServer } from "../wire/bindServer.ts";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import { loadProtos } from "../wire/protos.ts";
import { type BlobStore, createBlobStore } from "./blobStore.ts";
import { createDataClient } from "./dataClient.ts";
import { createDataService } from "./dataService.ts";

const SIZE = 4 * 2 ** 20;
const bytes = randomBytes(SIZE);
const hash = createHash("sha256").update(bytes).digest("hex");
const never = new AbortController().signal;

let dir: string;
let blobs: BlobStore;
let server: Server;
let port: number;
let onSegment: () => Promise<void>;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-data-"));
  blobs = createBlobStore(join(dir, "stage"));
  await blobs.put(bytes);
  server = new Server(GRPC_OPTIONS);
  onSegment = async () => {};
  const service = createDataService({ blobs, onSegment: () => onSegment(), onFile: async () => {} });
  server.addService(loadProtos().stageData, service);
  port = await bindServer(server, "127.0.0.1:0", ServerCredentials.createInsecure());
});
afterEach(async () => {
  server.forceShutdown();
  await rm(dir, { recursive: true, force: true });
});

/** A way to the stage that cuts its first connections after so many bytes of answers. */
async function cutter(cuts: number, afterBytes: number) {
  let connections = 0;
  let carried = 0;
  const sockets = new Set<Socket>();
  const between = createServer((client) => {
    connections += 1;
    const cutsThis = connections <= cuts;
    let seen = 0;
    const stage = connect(port, "127.0.0.1");
    for (const socket of [client, stage]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    client.pipe(stage);
    stage.on("data", (data) => {
      seen += data.length;
      carried += data.length;
      if (cutsThis && seen > afterBytes) return client.destroy();
      return client.write(data);
    });
    client.on("close", () => stage.destroy());
    stage.on("close", () => client.destroy());
  }).listen(0, "127.0.0.1");
  await once(between, "listening");
  return {
    addr: `127.0.0.1:${(between.address() as AddressInfo).port}`,
    connections: () => connections,
    carried: () => carried,
    close: () => {
      for (const socket of sockets) socket.destroy();
      between.close();
    },
  };
}

const clientOf = (addr: string, root: string) =>
  createDataClient(
    {
      stageData: loadProtos().stageData,
      credentials: credentials.createInsecure(),
      blobs: createBlobStore(join(dir, root)),
    },
    addr,
  );

it("goes on where a download was cut", async () => {
  const way = await cutter(2, SIZE / 3);
  const client = clientOf(way.addr, "node");
  try {
    const path = await client.fetch(hash, never);
    expect(path).toContain(hash);
    expect(way.connections()).toBe(3);
    // Twice from the start would be two thirds more.
    expect(way.carried()).toBeLessThan(SIZE * 1.5);
    // What is there is not fetched again.
    await client.fetch(hash, never);
    expect(way.connections()).toBe(3);
  } finally {
    client.close();
    way.close();
  }
});

it("gives up after five cuts, and says what is not there", async () => {
  const way = await cutter(9, 1_000);
  const client = clientOf(way.addr, "node");
  try {
    await expect(client.fetch(hash, never)).rejects.toMatchObject({ code: 14 });
    expect(await createBlobStore(join(dir, "node")).size(hash)).toBeNull();
  } finally {
    client.close();
    way.close();
  }
  const direct = clientOf(`127.0.0.1:${port}`, "other");
  await expect(direct.fetch("ab".repeat(32), never)).rejects.toThrow("no data with SHA-256");
  direct.close();
});

it("closes the file that a stage refuses", async () => {
  const file = join(dir, "segment");
  await writeFile(file, bytes);
  // Where a file is, no folder for blobs can be.
  await writeFile(join(dir, "full"), "");
  const refusing = new Server(GRPC_OPTIONS);
  const ignore = async (): Promise<void> => {};
  const stored = createBlobStore(join(dir, "full", "blob"));
  refusing.addService(
    loadProtos().stageData,
    createDataService({ blobs: stored, expects: () => true, onSegment: ignore, onFile: ignore }),
  );
  const at = await bindServer(refusing, "127.0.0.1:0", ServerCredentials.createInsecure());
  const client = clientOf(`127.0.0.1:${at}`, "node");
  try {
    await expect(client.sendFile(file, { taskId: "a", segment: 0 })).rejects.toThrow("ENOTDIR");
    await expect.poll(() => openFiles()).not.toContain(file);
  } finally {
    client.close();
    refusing.forceShutdown();
  }
});

async function openFiles(): Promise<string[]> {
  const descriptors = await readdir("/proc/self/fd");
  return Promise.all(descriptors.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => "")));
}

it("listens once for the end of a download, however slowly it is read", async () => {
  const warnings: string[] = [];
  const note = ({ name }: Error): unknown => warnings.push(name);
  process.on("warning", note);
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), GRPC_OPTIONS);
  const { path, requestSerialize, responseDeserialize } = loadProtos().stageData.Get!;
  try {
    const large = await blobs.put(randomBytes(8 * SIZE));
    const request = { sha256: large.hash, offset: "0" };
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    let got = 0;
    for await (const { data } of call as AsyncIterable<{ data: Buffer }>) {
      // What waits on the way is full by then.
      if (got === 0) await new Promise((resolve) => setTimeout(resolve, 200));
      got += data.length;
    }
    expect(got).toBe(large.bytes);
    expect(warnings).toEqual([]);
  } finally {
    process.off("warning", note);
    client.close();
  }
});

it.each([
  ["is away", new GevulotError("DATABASE_UNREACHABLE", "away", { context: { url: "" } }), status.UNAVAILABLE],
  ["refuses", new Error("no such split"), status.INVALID_ARGUMENT],
])("a sender knows a database that %s", async (_, error, code) => {
  onSegment = () => Promise.reject(error);
  const deps = { stageData: loadProtos().stageData, credentials: credentials.createInsecure(), blobs };
  const client = createDataClient(deps, `127.0.0.1:${port}`);
  const file = join(dir, "segment");
  await writeFile(file, "a segment");
  await expect(client.sendFile(file, { taskId: "task", segment: 0 })).rejects.toMatchObject({ code });
  client.close();
});
