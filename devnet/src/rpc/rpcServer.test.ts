import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { signTransaction, stringifyJson, type Transaction, transactionToJson } from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createFileFetcher } from "../files/fetchFile.ts";
import { createFileLayout } from "../files/layout.ts";
import { createIntake } from "../intake/intake.ts";
import { createMethods } from "./methods.ts";
import { createRpcServer, type RpcServer } from "./rpcServer.ts";

const log = pino({ level: "silent" });
const secretKey = new Uint8Array(32).fill(5);
const MAX_BODY_BYTES = 100_000;

let db: TestDatabase;
let dir: string;
let server: RpcServer;

beforeAll(async () => {
  db = await createTestDatabase();
  dir = await mkdtemp(join(tmpdir(), "rpc-"));
  const { database } = db;
  const deps = {
    log,
    database,
    layout: createFileLayout(dir),
    files: createFileFetcher(join(dir, "incoming")),
    onStored: () => {},
  };
  const intake = createIntake(deps, { execute: false });
  const methods = createMethods({
    database,
    intake,
    rpcHost: "127.0.0.1:9995",
    takesUploads: true,
    publicKey: `04${"ab".repeat(64)}`,
    nodeInfo: () => {
      throw new Error("no network in this test");
    },
  });
  server = await createRpcServer(
    { log, methods },
    { host: "127.0.0.1", port: 0, maxBodyBytes: MAX_BODY_BYTES },
  );
});
afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await db?.[Symbol.asyncDispose]();
  await rm(dir, { recursive: true, force: true });
});

const post = (body: string, init: RequestInit = {}) =>
  fetch(`http://127.0.0.1:${server.port}/`, { method: "POST", body, ...init });
const text = async (body: string) => (await post(body)).text();
const call = (method: string, parameter: string) =>
  text(`{"jsonrpc":"2.0","id":1,"method":"${method}","params":[${parameter}]}`);
const hashNumbers = (hash: string) => `[${[...Buffer.from(hash, "hex")].join(",")}]`;
const signed = (nonce: bigint): Transaction =>
  signTransaction({ payload: { kind: "empty" }, nonce, secretKey });

describe("the RPC", () => {
  test("keeps a nonce beyond 2^53, both ways", async () => {
    const tx = signed(2n ** 64n - 1n);
    expect(await call("sendTransaction", transactionToJson(tx))).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"Ok":null}}',
    );
    const answer = await call("getTransaction", hashNumbers(tx.hash));
    expect(answer).toContain('"nonce":18446744073709551615,');
    expect(answer).toContain(`"hash":"${tx.hash}","payload":"Empty"`);
    // The same answer as the first time.
    expect(await call("sendTransaction", transactionToJson(tx))).toBe(
      '{"jsonrpc":"2.0","id":1,"result":{"Ok":null}}',
    );
  });

  test("application errors are answers of a call that succeeded", async () => {
    const hash = hashNumbers("ab".repeat(32));
    for (const method of ["getTransaction", "getTransactionTree", "getRunStatus"]) {
      expect(JSON.parse(await call(method, hash))).toMatchObject({
        result: { Err: { NotFound: expect.any(String) } },
      });
    }
    const { hash: _, ...tx } = JSON.parse(transactionToJson(signed(1n)));
    const changed = stringifyJson({ ...tx, hash: Array(32).fill(7) });
    expect(JSON.parse(await call("sendTransaction", changed))).toMatchObject({
      result: { Err: { InvalidRequest: expect.stringContaining("changed after it was hashed") } },
    });
  });

  test.each([
    ["no JSON", "{", -32700],
    ["nothing", "", -32700],
    ["no call", "7", -32600],
    ["an empty batch", "[]", -32600],
    ["a batch in a batch", "[[[]]]", -32600],
    ["a number in a batch", "[1]", -32600],
    ["another version", '{"jsonrpc":"3.0","id":1,"method":"getTransaction","params":[]}', -32600],
    ["an unknown method", '{"jsonrpc":"2.0","id":1,"method":"nothing","params":[]}', -32601],
    ["a method of Object", '{"jsonrpc":"2.0","id":1,"method":"constructor","params":[]}', -32601],
    ["no parameter", '{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":[]}', -32602],
    ["two parameters", '{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":[[],[]]}', -32602],
    ["a parameter for rpc.discover", '{"jsonrpc":"2.0","id":1,"method":"rpc.discover","params":[1]}', -32602],
    ["named parameters", '{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":{"hash":[]}}', -32602],
    ["a short hash", '{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":[[1,2]]}', -32602],
    [
      "half a transaction",
      '{"jsonrpc":"2.0","id":1,"method":"sendTransaction","params":[{"nonce":1}]}',
      -32602,
    ],
  ])("%s", async (_, body, code) => {
    const answer = JSON.parse(await text(body));
    expect(answer.error.code).toBe(code);
    expect(answer.error.message).not.toBe("");
  });

  test("rpc.discover answers the document itself", async () => {
    const answer = JSON.parse(await text('{"jsonrpc":"2.0","id":1,"method":"rpc.discover","params":[]}'));
    expect(answer.result).toMatchObject({ openrpc: "1.3.2", info: { title: "Gevulot node" } });
  });

  test("getFileServer tells where files are, and may go", async () => {
    const answer = JSON.parse(await text('{"jsonrpc":"2.0","id":1,"method":"getFileServer","params":[]}'));
    expect(answer.result).toEqual({ Ok: { url: "http://127.0.0.1:9995", takesUploads: true } });
  });

  test("batches are answered in one, and are bounded", async () => {
    const one = '{"jsonrpc":"2.0","id":1,"method":"nothing"}';
    expect(JSON.parse(await text(`[${one},${one}]`))).toHaveLength(2);
    expect(JSON.parse(await text(`[${Array(101).fill(one)}]`)).error.message).toMatch(/batch length/i);
  });

  test("a notification is done and not answered", async () => {
    const tx = signed(77n);
    const body = `{"jsonrpc":"2.0","method":"sendTransaction","params":[${transactionToJson(tx)}]}`;
    const answer = await post(body);
    expect([answer.status, await answer.text()]).toEqual([204, ""]);
    expect(await call("getTransaction", hashNumbers(tx.hash))).toContain(tx.hash);
  });

  test("a body over the limit is refused, announced or not", async () => {
    const big = `"${"x".repeat(MAX_BODY_BYTES)}"`;
    const announced = await post(big);
    expect([announced.status, await announced.text()]).toEqual([
      413,
      expect.stringContaining("larger than 100000 bytes"),
    ]);
    const chunks = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 11; i++) controller.enqueue(new TextEncoder().encode("x".repeat(10_000)));
        controller.close();
      },
    });
    const streamed = await post("", { body: chunks, duplex: "half" } as RequestInit);
    expect(streamed.status).toBe(413);
  });

  test("other HTTP methods are told what to send", async () => {
    const answer = await fetch(`http://127.0.0.1:${server.port}/`);
    expect([answer.status, answer.headers.get("allow")]).toEqual([405, "POST"]);
  });

  test("without its database it says so, and goes on when the database is back", async () => {
    const tx = signed(99n);
    await db.postgres.stop();
    const answer = JSON.parse(await call("sendTransaction", transactionToJson(tx)));
    expect(answer.result.Err.InternalError).toMatch(/database at .* can't be reached/);
    expect(answer.result.Err.InternalError).not.toContain(new URL(db.url).password);
    await db.postgres.start();
    expect(await call("sendTransaction", transactionToJson(tx))).toContain('{"Ok":null}');
  });
});
