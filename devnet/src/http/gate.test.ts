import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { readAccessToken } from "./accessToken.ts";
import { createGate, type GateOptions } from "./gate.ts";
import { createRateLimit } from "./rateLimit.ts";

const TOKEN = "0123456789abcdef";
const OPEN: GateOptions = {
  corsOrigins: ["https://app.example"],
  allowedHosts: ["node.example"],
  token: null,
  callsPerSecond: null,
};

async function ask(
  headers: Record<string, string>,
  options: Partial<GateOptions> = {},
  more: { method?: string; isPublic?: boolean; times?: number } = {},
) {
  const gate = createGate({ ...OPEN, ...options });
  const server = createServer((request, response) => {
    if (gate.admits(request, response, { isPublic: more.isPublic ?? false }))
      response.writeHead(200).end("in");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  // fetch() lets nobody set Host and Origin.
  const once = () =>
    new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; text: string }>(
      (resolve, reject) => {
        request(
          { port, host: "127.0.0.1", method: more.method ?? "POST", headers, agent: false },
          (response) => {
            let text = "";
            response.setEncoding("utf8").on("data", (chunk) => {
              text += chunk;
            });
            response.on("end", () =>
              resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
            );
          },
        )
          .on("error", reject)
          .end();
      },
    );
  try {
    let answer = await once();
    for (let i = 1; i < (more.times ?? 1); i++) answer = await once();
    return answer;
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

describe("the gate", () => {
  test.each([
    ["localhost:9944", 200],
    ["127.0.0.1", 200],
    ["127.9.9.9:1", 200],
    ["[::1]:9944", 200],
    ["10.0.0.7:9944", 200],
    ["dev.localhost", 200],
    ["node.example:80", 200],
    ["evil.example", 403],
    ["127.0.0.1.evil.example", 403],
    ["localhost.evil.example:9944", 403],
    ["evil.example@127.0.0.1", 403],
    ["evil.example#127.0.0.1", 403],
  ])("Host: %s → %i", async (host, status) => {
    expect((await ask({ host })).status).toBe(status);
  });

  test.each([
    ["http://localhost:5173", 200],
    ["http://127.0.0.1:5173", 200],
    ["https://app.example", 200],
    ["http://10.0.0.7:9944", 200],
    ["http://app.example", 403],
    ["https://app.example.evil.example", 403],
    ["https://evil.example", 403],
    ["http://localhost.evil.example", 403],
    ["null", 403],
    ["chrome-extension://abc", 403],
  ])("Origin: %s → %i, also for what needs no preflight", async (origin, status) => {
    const answer = await ask({ host: "10.0.0.7:9944", origin });
    expect(answer.status).toBe(status);
    expect(answer.headers["access-control-allow-origin"]).toBe(status === 200 ? origin : undefined);
    expect(answer.headers.vary).toBe("Origin");
  });

  test("preflights are answered for allowed origins, without a token", async () => {
    const wanted = {
      host: "localhost",
      origin: "https://app.example",
      "access-control-request-private-network": "true",
    };
    const answer = await ask(wanted, { token: TOKEN }, { method: "OPTIONS" });
    expect(answer.status).toBe(204);
    expect(answer.headers).toMatchObject({
      "access-control-allow-methods": expect.stringContaining("POST"),
      "access-control-allow-headers": expect.stringContaining("authorization"),
      "access-control-allow-private-network": "true",
    });
    expect((await ask({ ...wanted, origin: "https://evil.example" }, {}, { method: "OPTIONS" })).status).toBe(
      403,
    );
  });

  test.each([
    [{}, 401],
    [{ authorization: "Bearer wrong" }, 401],
    [{ authorization: `Basic ${TOKEN}` }, 401],
    [{ authorization: `Bearer ${TOKEN}x` }, 401],
    [{ authorization: `Bearer ${TOKEN}` }, 200],
    [{ authorization: `bearer  ${TOKEN}` }, 200],
  ])("token: %j → %i", async (headers, status) => {
    expect((await ask({ host: "localhost", ...headers }, { token: TOKEN })).status).toBe(status);
  });

  test("what is public needs no token", async () => {
    expect((await ask({ host: "localhost" }, { token: TOKEN }, { isPublic: true })).status).toBe(200);
  });

  test("too many calls are 429, and told when to come again", async () => {
    const answer = await ask({ host: "localhost" }, { callsPerSecond: 1 }, { times: 3 });
    expect([answer.status, answer.headers["retry-after"]]).toEqual([429, "1"]);
  });

  test("a bucket fills with time, each key has its own", () => {
    let at = 0;
    const rate = createRateLimit({ perSecond: 2, now: () => at });
    expect([1, 2, 3, 4, 5].map(() => rate.take("a"))).toEqual([0, 0, 0, 0, 500]);
    expect(rate.take("b")).toBe(0);
    at = 500;
    expect([rate.take("a"), rate.take("a")]).toEqual([0, 500]);
  });
});

describe("the access token", () => {
  test("beyond this machine one is wanted, or the word that none is", async () => {
    for (const host of ["127.0.0.1", "::1", "localhost"]) {
      expect(await readAccessToken({ host, allowOpenRpc: false })).toBeNull();
    }
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "node.example"]) {
      await expect(readAccessToken({ host, allowOpenRpc: false })).rejects.toMatchObject({
        code: "RPC_UNPROTECTED",
      });
      expect(await readAccessToken({ host, allowOpenRpc: true })).toBeNull();
    }
  });

  test("its file must hold one", async () => {
    const dir = await mkdtemp(join(tmpdir(), "token-"));
    const tokenFile = join(dir, "token");
    const read = () => readAccessToken({ host: "127.0.0.1", tokenFile, allowOpenRpc: false });
    await expect(read()).rejects.toMatchObject({ code: "ACCESS_TOKEN_INVALID" });
    for (const bad of ["", "short", "with a space in it all", `${TOKEN}\n${TOKEN}`]) {
      await writeFile(tokenFile, bad);
      await expect(read()).rejects.toMatchObject({ code: "ACCESS_TOKEN_INVALID" });
    }
    await writeFile(tokenFile, `${TOKEN}\n`);
    expect(await read()).toBe(TOKEN);
    await rm(dir, { recursive: true });
  });
});
