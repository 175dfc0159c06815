import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { RpcFault, startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import { createHttpTransport, type HttpTransportOptions } from "./httpTransport.ts";

let node: WireNode;
beforeEach(async () => {
  node = await startWireNode();
});
afterEach(() => node.close());

const parse = (value: unknown) => value;
const safe = { parse, isSafe: true } as const;
const unsafe = { parse, isSafe: false } as const;

function transport(options: Partial<HttpTransportOptions> = {}) {
  const defaults = { url: node.url, timeoutMs: 20_000, retries: 0, maxReplyBytes: 1_000 };
  return createHttpTransport({ fetch }, { ...defaults, ...options });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const send = (status: number, body: string | Uint8Array) => (response: ServerResponse) => {
  response.writeHead(status);
  response.end(body);
};

test("posts JSON-RPC 2.0 with one positional parameter, and gives what follows Ok", async () => {
  let sent = "";
  node.raw = (response, body) => {
    sent = body;
    send(200, '{"jsonrpc":"2.0","result":{"Ok":[18446744073709551615]},"id":1}')(response);
  };
  const answer = await transport().call(
    "getTransaction",
    [18446744073709551614n, new Uint8Array([1, 2])],
    safe,
  );
  expect(answer).toEqual([18446744073709551615n]);
  expect(sent).toBe(
    '{"jsonrpc":"2.0","id":1,"method":"getTransaction","params":[[18446744073709551614,[1,2]]]}',
  );
});

describe("an answer that can't be used", () => {
  test.each<[string, (response: ServerResponse) => void, object]>([
    ["500 with text", send(500, "oops"), { code: "NODE_ANSWER_INVALID", context: { status: 500 } }],
    ["404 with a page", send(404, "<html>"), { code: "NODE_ANSWER_INVALID", context: { status: 404 } }],
    ["nothing", send(200, ""), { code: "NODE_ANSWER_INVALID" }],
    ["garbage", send(200, '{"jsonrpc":"2.0","resu'), { code: "NODE_ANSWER_INVALID" }],
    ["no UTF-8", send(200, new Uint8Array([0x22, 0xff, 0x22])), { code: "NODE_ANSWER_INVALID" }],
    ["JSON that is no reply", send(200, "[]"), { code: "NODE_ANSWER_INVALID" }],
    ["JSON-RPC 1.0", send(200, '{"result":{"Ok":1},"id":1}'), { code: "NODE_ANSWER_INVALID" }],
    ["no Ok", send(200, '{"jsonrpc":"2.0","result":1,"id":1}'), { code: "NODE_ANSWER_INVALID" }],
    [
      "an unknown Err",
      send(200, '{"jsonrpc":"2.0","result":{"Err":"Bored"},"id":1}'),
      { code: "NODE_ANSWER_INVALID" },
    ],
    [
      "a long body, announced",
      send(200, "x".repeat(1_001)),
      { code: "BODY_TOO_LARGE", context: { maxBytes: 1_000 } },
    ],
    [
      "a long body, not announced",
      (response) => {
        response.write("x".repeat(600));
        response.end("x".repeat(600));
      },
      { code: "BODY_TOO_LARGE" },
    ],
    [
      "a broken connection",
      (response) => response.destroy(),
      { code: "CANNOT_REACH_NODE", context: { method: "getTransaction" } },
    ],
    [
      "a connection broken in the middle",
      (response) => {
        response.writeHead(200, { "content-length": 100 });
        response.write("{");
        setTimeout(() => response.destroy(), 20);
      },
      { code: "CANNOT_REACH_NODE" },
    ],
  ])("%s", async (_, raw, error) => {
    node.raw = raw;
    await expect(transport().call("getTransaction", null, safe)).rejects.toMatchObject(error);
  });

  test("one that the action can't read", async () => {
    node.methods.getTransaction = () => '{"Ok":1}';
    const parse = () => {
      throw new Error("not a transaction");
    };
    await expect(transport().call("getTransaction", null, { isSafe: true, parse })).rejects.toMatchObject({
      code: "NODE_ANSWER_INVALID",
      message: expect.stringContaining("not a transaction"),
    });
  });
});

test("an application error is REFUSED, with its kind and the node's words", async () => {
  node.methods.sendTransaction = () => '{"Err":{"InvalidRequest":"the program is too large"}}';
  await expect(transport().call("sendTransaction", null, unsafe)).rejects.toMatchObject({
    code: "REFUSED",
    context: { method: "sendTransaction", kind: "InvalidRequest", reason: "the program is too large" },
    message: expect.stringContaining("invalid request: the program is too large"),
  });
});

test("JSON-RPC's own error, also behind an HTTP error status", async () => {
  await expect(transport().call("getNothing", null, safe)).rejects.toMatchObject({
    code: "RPC_CALL_INVALID",
    context: { method: "getNothing", rpcCode: -32601, reason: "Method not found" },
  });
  node.raw = send(400, '{"jsonrpc":"2.0","error":{"code":-32602,"message":"no"},"id":null}');
  await expect(transport().call("getNothing", null, safe)).rejects.toMatchObject({
    context: { rpcCode: -32602 },
  });
});

describe("a node that is not there", () => {
  test("is told at once, and with its address", async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    await expect(transport({ url }).call("getTransaction", null, safe)).rejects.toMatchObject({
      code: "CANNOT_REACH_NODE",
      context: { url, reason: "ECONNREFUSED", method: "getTransaction" },
    });
  });
  test("is tried again, also for a call that is not safe, since nothing was sent", async () => {
    const port = await freePort();
    const url = `http://127.0.0.1:${port}`;
    const call = transport({ url, retries: 8 }).call("sendTransaction", null, unsafe);
    const late = new Promise<WireNode>((resolve) => setTimeout(() => resolve(startWireNode(port)), 250));
    const lateNode = await late;
    lateNode.methods.sendTransaction = () => '{"Ok":null}';
    try {
      expect(await call).toBe(null);
    } finally {
      await lateNode.close();
    }
  });
});

describe("trying again", () => {
  const brokenTwice = () => {
    let calls = 0;
    node.raw = (response) => {
      if (++calls <= 2) response.destroy();
      else send(200, '{"jsonrpc":"2.0","result":{"Ok":7},"id":1}')(response);
    };
    return () => calls;
  };
  test("a safe call whose connection broke", async () => {
    const calls = brokenTwice();
    expect(await transport({ retries: 2 }).call("getTransaction", null, safe)).toBe(7);
    expect(calls()).toBe(3);
  });
  test("not more often than allowed", async () => {
    const calls = brokenTwice();
    await expect(transport({ retries: 1 }).call("getTransaction", null, safe)).rejects.toMatchObject({
      code: "CANNOT_REACH_NODE",
    });
    expect(calls()).toBe(2);
  });
  test("not a call that may have been carried out", async () => {
    const calls = brokenTwice();
    await expect(transport({ retries: 5 }).call("sendTransaction", null, unsafe)).rejects.toMatchObject({
      code: "CANNOT_REACH_NODE",
    });
    expect(calls()).toBe(1);
  });
  test("where a proxy says that the node is away", async () => {
    let calls = 0;
    node.raw = (response) => {
      if (++calls === 1) send(503, "away")(response);
      else send(200, '{"jsonrpc":"2.0","result":{"Ok":7},"id":1}')(response);
    };
    expect(await transport({ retries: 1 }).call("getTransaction", null, safe)).toBe(7);
  });
  test("not after a refusal", async () => {
    node.methods.getTransaction = () => '{"Err":{"NotFound":"x"}}';
    await expect(transport({ retries: 5 }).call("getTransaction", null, safe)).rejects.toMatchObject({
      code: "REFUSED",
    });
    expect(node.calls).toEqual(["getTransaction"]);
  });
  test("not after JSON-RPC's own error", async () => {
    node.methods.getTransaction = () => {
      throw new RpcFault(-32602, "no");
    };
    await expect(transport({ retries: 5 }).call("getTransaction", null, safe)).rejects.toThrow("no (-32602)");
    expect(node.calls).toHaveLength(1);
  });
});

describe("a slow node", () => {
  test("ends with the timeout, whether it sends nothing or does not come to an end", async () => {
    node.raw = () => {};
    const never = transport({ timeoutMs: 80 }).call("getTransaction", null, safe);
    await expect(never).rejects.toMatchObject({ code: "CANNOT_REACH_NODE", context: { reason: "timeout" } });
    node.raw = (response) => response.write("{");
    const unending = transport({ timeoutMs: 80 }).call("getTransaction", null, safe);
    await expect(unending).rejects.toMatchObject({
      code: "CANNOT_REACH_NODE",
      context: { reason: "timeout" },
    });
  });
  test.each(["before", "while waiting", "while reading", "while pausing"])(
    "is left when aborted %s",
    async (when) => {
      const abort = new AbortController();
      const reason = new Error("changed my mind");
      if (when === "before") abort.abort(reason);
      else setTimeout(() => abort.abort(reason), 60);
      if (when === "while reading") node.raw = (response) => response.write("{");
      if (when === "while waiting") node.raw = () => {};
      if (when === "while pausing") node.raw = (response) => response.destroy();
      const call = transport({ retries: 100 }).call("getTransaction", null, {
        ...safe,
        signal: abort.signal,
      });
      await expect(call).rejects.toMatchObject({ code: "CANCELLED", cause: reason });
    },
  );
});
