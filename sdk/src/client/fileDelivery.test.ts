import { randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@napi-rs/blake-hash";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import { GevulotClient as BrowserClient } from "../browser.ts";
import type { FileProgress } from "../context/progress.ts";
import { GevulotClient, type GevulotClientOptions, generateKey } from "../index.ts";
import { parseJson } from "../protocol/json/parseJson.ts";
import { parseTransaction } from "../protocol/json/transactionJson.ts";

const KEY = generateKey();
const PROGRAM = "ab".repeat(32);
const CONTENT = randomBytes(3 * 2 ** 20);
const TOKEN = "a-token-of-the-node";
const hashOf = (content: Uint8Array) => blake3(content).toString("hex");

let folder: string;
let file: string;
let node: WireNode;
let store: Store;
/** URLs of the files in what was sent, and what the node found there. */
let named: Map<string, string>;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "sdk-delivery-"));
  file = join(folder, "witness.bin");
  await writeFile(file, CONTENT);
  store = await startStore();
  node = await startWireNode();
  named = new Map();
  node.methods.getFileServer = () => JSON.stringify({ Ok: { url: store.url, takesUploads: true } });
  node.methods.sendTransaction = async (parameter) => {
    const { payload } = parseTransaction(parseJson(parameter));
    if (payload.kind !== "run") throw new Error("a Run is sent here");
    for (const input of payload.steps.flatMap((step) => step.inputs)) {
      if (input.kind !== "input") continue;
      const content = new Uint8Array(await (await fetch(input.fileUrl)).arrayBuffer());
      named.set(input.fileUrl, hashOf(content));
      if (hashOf(content) !== input.checksum) return '{"Err":{"InvalidRequest":"checksum"}}';
    }
    return '{"Ok":null}';
  };
});
afterEach(async () => {
  await node.close();
  await store.close();
  await rm(folder, { recursive: true });
});

interface Store {
  readonly url: string;
  readonly puts: string[];
  /** Answers PUT in place of the store. */
  refuse: ((request: IncomingMessage, response: ServerResponse) => void) | null;
  close(): Promise<void>;
}

/** A node's file store as docs/rpc.md has it. */
async function startStore(): Promise<Store> {
  const files = new Map<string, Buffer>();
  const server: Server = createServer(async (request, response) => {
    const path = request.url ?? "";
    if (request.method !== "PUT")
      return void response.writeHead(files.has(path) ? 200 : 404).end(files.get(path));
    store.puts.push(path);
    if (store.refuse) return store.refuse(request, response);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    files.set(path, Buffer.concat(chunks));
    response.writeHead(`/files/${hashOf(Buffer.concat(chunks))}` === path ? 201 : 400).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url, puts: [], refuse: null, close };
}

const client = (options: GevulotClientOptions = {}) =>
  new GevulotClient({ url: node.url, key: KEY, retries: 0, ...options });
const inputs = () => [
  { file, vmPath: "/workspace/witness.bin" },
  { data: new Uint8Array([1, 2, 3]), vmPath: "/workspace/seed" },
];
const send = (options: GevulotClientOptions = {}, onProgress?: (progress: FileProgress) => void) =>
  client(options).run({ steps: [{ program: PROGRAM, inputs: inputs() }], onProgress });

describe("an upload", () => {
  test("puts files and bytes into the node's store, once", async () => {
    await send({ files: "upload" });
    await send({ files: "upload" });
    const paths = [CONTENT, new Uint8Array([1, 2, 3])].map((each) => `/files/${hashOf(each)}`);
    expect([...named.keys()]).toEqual(paths.map((path) => store.url + path));
    expect(store.puts).toEqual(paths);
  });

  test("carries the access token, and so do calls; downloads don't", async () => {
    const seen: (string | undefined)[] = [];
    store.refuse = (request, response) => {
      seen.push(request.headers.authorization);
      response.writeHead(401, { connection: "close" }).end("no");
    };
    const sent = send({ files: "upload", accessToken: TOKEN });
    await expect(sent).rejects.toMatchObject({ code: "TOKEN_REFUSED" });
    expect(seen).toEqual([`Bearer ${TOKEN}`]);
  });

  test.each<[string, number, string]>([
    ["too large", 413, "the file is larger than 5 bytes, the limit of this node"],
    ["forbidden", 403, "this node takes uploads only with --access-token-file"],
  ])("tells why it was refused: %s", async (_, status, text) => {
    store.refuse = (_, response) => response.writeHead(status, { connection: "close" }).end(`${text}\n`);
    await expect(send({ files: "upload" })).rejects.toMatchObject({
      code: "UPLOAD_FAILED",
      context: { status },
      message: expect.stringContaining(text),
    });
    expect(node.calls).not.toContain("sendTransaction");
  });

  test("where the node is behind a tunnel", async () => {
    node.methods.getFileServer = () => JSON.stringify({ Ok: { url: `${store.url}/`, takesUploads: false } });
    await expect(send({ files: "upload" })).rejects.toMatchObject({ code: "UPLOAD_FAILED" });
    await send({ files: "upload", uploadUrl: `${store.url.replace("127.0.0.1", "localhost")}/` });
    expect([...named.keys()][0]).toContain("127.0.0.1");
  });

  test("to a store that is away, or with a file that is not there", async () => {
    node.methods.getFileServer = () => '{"Ok":{"url":"http://127.0.0.1:1","takesUploads":true}}';
    await expect(send({ files: "upload" })).rejects.toMatchObject({
      code: "UPLOAD_FAILED",
      context: { status: null },
    });
    await rm(file);
    await expect(send({ files: "upload" })).rejects.toMatchObject({ code: "FILE_UNREADABLE" });
    await writeFile(file, CONTENT);
  });

  test("ends with the signal", async () => {
    const stop = new AbortController();
    store.refuse = () => stop.abort();
    const steps = [{ program: PROGRAM, inputs: inputs() }];
    const sent = client({ files: "upload" }).run({ steps, signal: stop.signal });
    await expect(sent).rejects.toMatchObject({ code: "CANCELLED" });
  });

  test("is what a browser does with bytes", async () => {
    const browser = new BrowserClient({ url: node.url, key: KEY });
    const steps = [{ program: PROGRAM, inputs: [{ data: CONTENT, vmPath: "/workspace/x" }] }];
    await browser.run({ steps });
    expect([...named.values()]).toEqual([hashOf(CONTENT)]);
    delete node.methods.getFileServer;
    await expect(browser.run({ steps })).rejects.toMatchObject({ code: "UPLOAD_FAILED" });
  });
});

describe("which way files go by themselves", () => {
  /** As if the node were on another machine: the names lead here all the same. */
  const elsewhere = (options: GevulotClientOptions = {}): GevulotClientOptions => ({
    url: node.url.replace("127.0.0.1", "node.example"),
    fetch: (input, init) => fetch(String(input).replace("node.example", "127.0.0.1"), init),
    ...options,
  });
  const wasUploaded = () => [...named.keys()].every((url) => url.startsWith(store.url));

  test("they are served to a node of this machine, and to one that was given an address", async () => {
    await send();
    expect(wasUploaded()).toBe(false);
    named.clear();
    await send(elsewhere({ fileHost: { host: "0.0.0.0", advertise: "127.0.0.1.nip.example" } })).catch(
      () => {},
    );
    expect([wasUploaded(), store.puts]).toEqual([true, []]);
  });

  test("they are uploaded to one elsewhere that takes uploads, and served where it does not", async () => {
    await send(elsewhere());
    expect([wasUploaded(), store.puts.length]).toEqual([true, 2]);
    delete node.methods.getFileServer;
    named.clear();
    await send(elsewhere());
    expect(wasUploaded()).toBe(false);
    named.clear();
    await send(elsewhere({ files: "serve" }));
    expect(wasUploaded()).toBe(false);
  });

  test("a node that listens everywhere is called by the name that it was reached by", async () => {
    const { port } = new URL(store.url);
    node.methods.getFileServer = () => `{"Ok":{"url":"http://0.0.0.0:${port}","takesUploads":true}}`;
    await send({ files: "upload" });
    expect(wasUploaded()).toBe(true);
  });
});

describe("progress", () => {
  async function phases(options: GevulotClientOptions): Promise<string[]> {
    const seen: FileProgress[] = [];
    await send(options, (progress) => seen.push(progress));
    for (const name of [file, "seed"]) {
      for (const phase of ["hashing", "serving", "uploading"]) {
        const steps = seen.filter((each) => each.file === name && each.phase === phase);
        if (steps.length === 0) continue;
        const { bytesDone, bytesTotal } = steps.at(-1)!;
        expect([name, bytesDone]).toEqual([name, name === file ? CONTENT.length : 3]);
        expect(bytesTotal).toBe(bytesDone);
        const way = steps.map((each) => each.bytesDone);
        expect(way).toEqual([...way].sort((a, b) => a - b));
      }
    }
    return [...new Set(seen.map(({ phase, file }) => `${phase} ${file}`))];
  }

  test("is told while files are hashed and served", async () => {
    expect(await phases({ files: "serve" })).toEqual([`hashing ${file}`, `serving ${file}`, "serving seed"]);
  });
  test("is told while they are uploaded", async () => {
    expect(await phases({ files: "upload" })).toEqual([
      `hashing ${file}`,
      `uploading ${file}`,
      "uploading seed",
    ]);
  });
});
