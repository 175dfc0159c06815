import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { closeServer } from "../listen.ts";
import { GevulotDevnetContainer } from "./index.ts";
import { createLastLines } from "./lastLines.ts";
import { createMappedFetch } from "./mappedFetch.ts";
import { readUpLine } from "./upLine.ts";

test.each([0, 51, 1.5, Number.NaN])("withNodes(%s) is refused", (count) => {
  expect(() => new GevulotDevnetContainer().withNodes(count)).toThrow(RangeError);
});

test("lines come whole, and the last of them are kept", async () => {
  const lines = createLastLines();
  for (const chunk of ["fir", "st\nsec", Buffer.from("ond\r\n\n"), "rest"]) lines.take(chunk);
  expect(lines.all()).toEqual(["first", "second", "rest"]);
  expect(await lines.find("sec")).toBe("second");
  for (let index = 0; index < 100; index++) lines.take(`${index}\n`);
  expect(lines.all()).toHaveLength(50);
  expect(lines.all().at(-1)).toBe("99");
});

test("what up says is read; an error is none", () => {
  const node = { name: "node0", httpUrl: "http://127.0.0.1:9995", publicKey: "04", rpcUrl: "" };
  const account = { publicKey: "04", secretKey: "00", keyFile: "/x" };
  const line = JSON.stringify({ command: "up", status: "ok", data: { nodes: [node], accounts: [account] } });
  expect(readUpLine(`\u0001\0\0${line}`).nodes[0]?.httpUrl).toBe("http://127.0.0.1:9995");
  expect(() => readUpLine('{"command":"up","status":"error","data":null}')).toThrow();
});

test("an address inside leads to the one outside, path and query with it; others stay", async () => {
  const server = createServer((request, response) => response.end(`${request.method} ${request.url}`));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const outside = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const fetch = createMappedFetch(new Map([["http://127.0.0.1:9995", outside]]));
  const text = async (input: Parameters<typeof fetch>[0], init?: RequestInit) =>
    (await fetch(input, init)).text();
  expect(await text("http://127.0.0.1:9995/txfiles/a?b=c")).toBe("GET /txfiles/a?b=c");
  expect(await text(new URL("http://127.0.0.1:9995/x"), { method: "PUT" })).toBe("PUT /x");
  expect(await text(new Request("http://127.0.0.1:9995/y", { method: "POST", body: "z" }))).toBe("POST /y");
  expect(await text(`${outside}/same`)).toBe("GET /same");
  await closeServer(server);
});
