import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { listenOn } from "../../../test/fixtures/listenOn.ts";
import { GevulotClient } from "../index.ts";
import { createPipelineClient } from "./createPipelineClient.ts";
import { createEthereumKey } from "./ethereumKey.ts";

const KEY = new Uint8Array(32).fill(7);
const HASH = "ab".repeat(32);
const servers: Server[] = [];
afterEach(() => Promise.all(servers.splice(0).map(stop)));

async function serve(answer: RequestListener, port = 0): Promise<string> {
  const server = createServer(answer);
  servers.push(server);
  return `http://127.0.0.1:${await listenOn(server, port)}`;
}

async function stop(server: Server): Promise<void> {
  server.closeAllConnections();
  if (server.listening) await once(server.close(), "close");
}

const run = (change: object = {}) =>
  JSON.stringify({
    ...{ proof_id: "r", status: "SUCCESS", error: null, segments: 1, segments_known: 1, priority: 0 },
    ...{ result_hash: HASH, created_at: "2026-01-01T00:00:00Z", finished_at: null },
    ...change,
  });

describe("a pipeline's client", () => {
  it("waits through a restart of the stage, and while its database is away", async () => {
    const url = await serve((_, response) => response.end(run({ status: "COMPUTING" })));
    const seen: string[] = [];
    const done = createPipelineClient({ url, key: KEY }).wait("r", {
      timeoutMs: 50_000,
      onStatus: ({ status }) => void seen.push(status),
    });
    await expect.poll(() => seen.length).toBe(1);
    await stop(servers.shift()!);
    await delay(300);
    let calls = 0;
    await serve(
      (_, response) => {
        calls += 1;
        response.statusCode = calls === 1 ? 503 : 200;
        response.end(calls === 1 ? '{"error":"the database is away"}' : run());
      },
      Number(new URL(url).port),
    );
    expect(await done).toMatchObject({ status: "SUCCESS" });
  });

  it("says in the end that the stage stayed away, that a run goes on, or that the caller gave up", async () => {
    const url = await serve((_, response) => response.end(run({ status: "COMPUTING" })));
    const user = createPipelineClient({ url, key: KEY });
    await expect(user.wait("r", { timeoutMs: 1_500 })).rejects.toMatchObject({ code: "PIPELINE_NOT_DONE" });
    const signal = AbortSignal.timeout(100);
    await expect(user.wait("r", { signal })).rejects.toMatchObject({ code: "CANCELLED" });
    await stop(servers.shift()!);
    await expect(user.wait("r", { timeoutMs: 1_500 })).rejects.toMatchObject({ code: "CANNOT_REACH_STAGE" });
  });

  it.each<[string, RequestListener, object]>([
    [
      "a body that stops",
      (_, response) => void response.writeHead(200, { "content-length": 9 }).write("half"),
      { code: "CANNOT_REACH_STAGE", context: { reason: "nothing came for 1000 ms" } },
    ],
    [
      "another proof",
      (_, response) => response.end("another"),
      { code: "PIPELINE_FAILED", message: expect.stringContaining("is not the run's") },
    ],
    [
      "a refusal without a reason",
      (_, response) => response.writeHead(404).end("<html>"),
      { code: "STAGE_REFUSED", context: { reason: "HTTP status 404" } },
    ],
  ])("gets no proof from %s", async (_name, answer, error) => {
    const user = createPipelineClient({ url: await serve(answer), key: KEY, timeoutMs: 1_000 });
    const finished = { proofId: "r", status: "SUCCESS", error: null, resultHash: HASH };
    await expect(user.result(finished as never)).rejects.toMatchObject(error);
  });

  it("submits a run from agg without an ELF", async () => {
    const bodies: object[] = [];
    const url = await serve(async (request, response) => {
      bodies.push(JSON.parse(String(Buffer.concat(await request.toArray()))));
      response.end(run());
    });
    await createPipelineClient({ url, key: KEY }).submit({ from: "agg", receiptInputs: [KEY] });
    expect(bodies).toEqual([expect.objectContaining({ from: "agg", receipt_inputs: [expect.any(String)] })]);
    expect(bodies[0]).not.toHaveProperty("elf");
  });

  it("is told at once of options that can't be used", async () => {
    const user = (options: object) =>
      createPipelineClient({ url: "http://127.0.0.1:1", key: KEY, ...options });
    const invalid = expect.objectContaining({ code: "OPTION_INVALID" });
    expect(() => user({ url: "127.0.0.1:50020" })).toThrow(invalid);
    expect(() => user({ timeoutMs: 0 })).toThrow(invalid);
    await expect(user({}).wait("r", { timeoutMs: Number.NaN })).rejects.toEqual(invalid);
  });

  it("knows what is no stage, and a run that goes on", async () => {
    const user = createPipelineClient({ url: await serve((_, to) => to.end("<html>")), key: KEY });
    await expect(user.status("r")).rejects.toMatchObject({
      code: "CANNOT_REACH_STAGE",
      message: expect.stringContaining("what answers is no stage"),
    });
    const computing = { proofId: "r", status: "COMPUTING", error: null, resultHash: null };
    await expect(user.result(computing as never)).rejects.toMatchObject({ code: "PIPELINE_NOT_DONE" });
  });
});

describe("client.pipeline", () => {
  it("signs as the client's account, wherever its secret is", async () => {
    const signed: (string | undefined)[] = [];
    const pipelineUrl = await serve((request, response) => {
      signed.push(request.headers.authorization);
      response.end(run());
    });
    const key = createEthereumKey(KEY);
    const { pipeline } = new GevulotClient({ key: KEY, pipelineUrl });
    expect(await pipeline.getAddress()).toBe(key.address);
    expect(await pipeline.status("r")).toMatchObject({ proofId: "r", status: "SUCCESS" });
    const [, seconds, signature] = /^EIP191 (\d+):(\w+)$/.exec(signed[0]!)!;
    const noBytes = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    expect(signature).toBe(key.sign(`gevulot-pipeline\nGET /v1/runs/r\n${seconds}\n${noBytes}`));
    await expect(new GevulotClient({ pipelineUrl }).pipeline.list()).rejects.toMatchObject({
      code: "NO_KEY",
    });
  });

  it("signs as the contract's vector", () => {
    const hardhat = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const key = createEthereumKey(Buffer.from(hardhat, "hex"));
    expect(key.address).toBe("f39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    expect(key.sign("00000000-0000-4000-8000-000000000001&131072")).toBe(
      "8b05f988ff8184721d82eb15a36e283b9c340335bae359cd34d453dd50a1062a74833841c6ba8cc233cbe099aa5c8c346b936452ad04f1249af4c0f168d4c3ae1b",
    );
  });
});
