import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import { GevulotClient, generateKey } from "../index.ts";
import { parseJson } from "../protocol/json/parseJson.ts";
import { stringifyJson } from "../protocol/json/stringifyJson.ts";
import { parseTransaction } from "../protocol/json/transactionJson.ts";
import { rpcTransactionToWire } from "../protocol/rpc/rpcTransaction.ts";
import { toRpcTransaction } from "../protocol/rpc/toRpcTransaction.ts";

/** A node whose answers get lost, and that says of a transaction sent twice what the existing one says. */
let node: WireNode;
let stored: Map<string, string>;
let sends: number;
beforeEach(async () => {
  node = await startWireNode();
  stored = new Map();
  sends = 0;
});
afterEach(() => node.close());

const client = (options = {}) =>
  new GevulotClient({ url: node.url, key: generateKey(), retries: 1, ...options });
const run = (options = {}) => client(options).run({ steps: [{ program: "ab".repeat(32) }] });

/** How each sending goes: is it stored, is it answered. */
function behave(...ways: { stores: boolean; answers: boolean | number }[]): void {
  node.raw = (response, body) => {
    const { method } = JSON.parse(body) as { method: string };
    const reply = (result: string) =>
      response.writeHead(200).end(`{"jsonrpc":"2.0","id":1,"result":${result}}`);
    if (method === "getTransaction") {
      const hash = Buffer.from(JSON.parse(body).params[0]).toString("hex");
      return reply(stored.get(hash) ?? '{"Err":{"NotFound":"no such transaction"}}');
    }
    const way = ways[Math.min(sends++, ways.length - 1)]!;
    const transaction = parseTransaction(parseJson(/"params":\[(.*)\]\}$/s.exec(body)?.[1] ?? ""));
    const isDuplicate = stored.has(transaction.hash);
    const shown = rpcTransactionToWire(toRpcTransaction(transaction, { rpcHost: "a:1" }));
    if (way.stores) stored.set(transaction.hash, `{"Ok":${stringifyJson(shown)}}`);
    if (way.answers === false) return response.destroy();
    if (typeof way.answers === "number") return response.writeHead(way.answers).end("away");
    reply(isDuplicate ? '{"Err":{"InternalError":"duplicate key value"}}' : '{"Ok":null}');
  };
}

describe("where the answer to a sending is lost", () => {
  test.each([false, 502, 503, 504])(
    "the node has it: all is well, and it goes out once (%s)",
    async (answers) => {
      behave({ stores: true, answers });
      await run();
      expect(sends).toBe(1);
    },
  );

  test("the node has it not: it is sent again", async () => {
    behave({ stores: false, answers: false }, { stores: true, answers: true });
    await run();
    expect(sends).toBe(2);
  });

  test("what the node then says of a duplicate is no refusal", async () => {
    // As where the first one is stored between the question and the second sending.
    behave({ stores: false, answers: false }, { stores: true, answers: 503 });
    await run();
    expect(sends).toBe(2);
  });

  test("a refusal of the second one is one", async () => {
    behave({ stores: false, answers: false });
    const second = node.raw!;
    node.raw = (response, body) => {
      if (!body.includes('"sendTransaction"') || sends === 0) return second(response, body);
      response.writeHead(200).end('{"jsonrpc":"2.0","id":1,"result":{"Err":"Unauthorized"}}');
    };
    await expect(run()).rejects.toMatchObject({ code: "REFUSED", context: { kind: "Unauthorized" } });
  });

  test("one that took too long is not begun anew", async () => {
    behave({ stores: false, answers: true });
    const others = node.raw!;
    node.raw = (response, body) => {
      if (body.includes('"sendTransaction"')) sends++;
      else others(response, body);
    };
    await expect(run({ sendTimeoutMs: 1_000 })).rejects.toMatchObject({ context: { reason: "timeout" } });
    expect(sends).toBe(1);
  });

  test("a node that stays away is said so", async () => {
    node.raw = (response) => response.destroy();
    await expect(run()).rejects.toMatchObject({
      code: "CANNOT_REACH_NODE",
      context: { method: "sendTransaction" },
    });
  });
});

test("too many calls are tried again, also those that change something", async () => {
  behave({ stores: false, answers: 429 }, { stores: true, answers: true });
  await run();
  expect(sends).toBe(2);
});

test("a token that is wanted, or wrong, is said so at once", async () => {
  let calls = 0;
  node.raw = (response) => {
    calls++;
    response.writeHead(401).end('{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"token"}}');
  };
  await expect(run()).rejects.toMatchObject({
    code: "TOKEN_REFUSED",
    message: expect.stringContaining("wants an access token"),
  });
  await expect(run({ accessToken: "not-this-one" })).rejects.toMatchObject({
    message: expect.stringContaining("does not take this access token"),
  });
  expect(calls).toBe(2);
  node.files.set(`/events/runs/${"ab".repeat(32)}`, (_, response) => response.writeHead(401).end());
  const events = client().getRun("ab".repeat(32)).events();
  await expect(events.next()).rejects.toMatchObject({ code: "TOKEN_REFUSED" });
});
