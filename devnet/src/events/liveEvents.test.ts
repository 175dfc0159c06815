import { renameSync } from "node:fs";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Database } from "../store/database.ts";
import type { TaskConsole } from "./consoleEvents.ts";
import { createEventServer, type EventServer } from "./eventServer.ts";
import { createRunHub } from "./runHub.ts";

const hub = createRunHub();
const info = { tasks: 0, peers: [{ address: "a", lastSeenAt: "1" }] };
const consoles = new Map<string, TaskConsole>();
let dir: string;
let events: EventServer;
let server: Server;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "events-"));
  const deps = { log: pino({ level: "silent" }), database: null as unknown as Database, hub };
  const findConsole = async (task: string) => consoles.get(task) ?? null;
  events = createEventServer({ ...deps, info: () => ({ ...info }), findConsole });
  server = createServer((request, response) => void events.serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
});
afterAll(async () => {
  await events?.[Symbol.asyncDispose]();
  server?.closeAllConnections();
  await new Promise((resolve) => server?.close(resolve));
  await rm(dir, { recursive: true, force: true });
});

async function listen(path: string) {
  const controller = new AbortController();
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const response = await fetch(url, { signal: controller.signal });
  const seen: [name: string, data: Record<string, unknown>][] = [];
  const ended = (async () => {
    let text = "";
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk).toString();
      const parts = text.split("\n\n");
      text = parts.pop() ?? "";
      for (const part of parts) {
        const match = /^event: (\S+)\ndata: (.*)$/.exec(part);
        if (match) seen.push([match[1] as string, JSON.parse(match[2] as string)]);
      }
    }
  })().catch(() => {});
  const until = (count: number) => expect.poll(() => seen.length).toBe(count);
  return { seen, until, ended, status: response.status, cut: () => controller.abort() };
}

describe("events of a node", () => {
  test("what it says of itself, when it has changed, and which Runs and programs are news", async () => {
    const stream = await listen("/events/node");
    await stream.until(1);
    expect(stream.seen[0]).toEqual(["info", info]);
    // That a peer was heard is no news.
    info.peers = [{ address: "a", lastSeenAt: "2" }];
    info.tasks = 1;
    for (const run of ["r1", "r2", "r1"]) hub.notify(run);
    await stream.until(3);
    // Each comes in its own time.
    expect(Object.fromEntries(stream.seen.slice(1))).toEqual({
      runs: { runs: ["r1", "r2"] },
      info: { tasks: 1, peers: info.peers },
    });
    info.peers = [{ address: "a", lastSeenAt: "3" }];
    hub.notifyDeploy();
    await stream.until(4);
    expect(stream.seen[3]).toEqual(["programs", {}]);
    stream.cut();
  });
});

describe("the console of a task", () => {
  const textOf = (seen: [string, Record<string, unknown>][]) =>
    seen.map(([name, data]) => (name === "text" ? data.text : `<${name}>`)).join("");

  test("comes as it is written, over attempts, with characters whole, and ends with the task", async () => {
    const path = join(dir, "stdout.log");
    consoles.set("a1", { path, attempt: 0, hasEnded: false });
    const stream = await listen("/events/tasks/a1/console");
    await stream.until(2);
    consoles.set("a1", { path, attempt: 1, hasEnded: false });
    const euro = Buffer.from("€");
    await writeFile(path, Buffer.concat([Buffer.from("one "), euro.subarray(0, 1)]));
    await expect.poll(() => textOf(stream.seen)).toBe("<attempt><current><attempt>one ");
    await appendFile(path, euro.subarray(1));
    await expect.poll(() => textOf(stream.seen)).toBe("<attempt><current><attempt>one €");
    await rm(path);
    await writeFile(path, "two");
    consoles.set("a1", { path, attempt: 2, hasEnded: true });
    await stream.ended;
    expect(textOf(stream.seen)).toBe("<attempt><current><attempt>one €<attempt>two<end>");
    const later = await listen("/events/tasks/a1/console");
    await later.ended;
    expect(textOf(later.seen)).toBe("<attempt>two<current><end>");
  });

  test("comes whole where an attempt begins and ends between two looks", async () => {
    const path = join(dir, "quick.log");
    await writeFile(path, "one");
    await writeFile(`${path}.next`, "two");
    consoles.set("d4", { path, attempt: 2, hasEnded: false });
    const stream = await listen("/events/tasks/d4/console");
    await expect.poll(() => textOf(stream.seen)).toBe("<attempt>one<current>");
    consoles.set("d4", { path, attempt: 2, hasEnded: true });
    renameSync(`${path}.next`, path);
    await stream.ended;
    expect(textOf(stream.seen)).toBe("<attempt>one<current>two<end>");
  });

  test("of a long one, the end, and how much is left out", async () => {
    const path = join(dir, "long.log");
    await writeFile(path, `${"x".repeat(1_000_000)}last words`);
    consoles.set("b2", { path, attempt: 1, hasEnded: true });
    const stream = await listen("/events/tasks/b2/console");
    await stream.ended;
    const texts = stream.seen.filter(([name]) => name === "text").map(([, data]) => data);
    expect(texts[0]?.skipped).toBe(1_000_010 - 131_072);
    expect(texts.slice(1).every(({ skipped }) => skipped === 0)).toBe(true);
    const text = texts.map(({ text }) => text).join("");
    expect(text).toHaveLength(131_072);
    expect(text).toMatch(/xlast words$/);
  });

  test("whose file is gone is empty; of an unknown task there is none", async () => {
    consoles.set("c3", { path: join(dir, "none"), attempt: 1, hasEnded: true });
    const stream = await listen("/events/tasks/c3/console");
    await stream.ended;
    expect(textOf(stream.seen)).toBe("<attempt><current><end>");
    for (const path of ["/events/tasks/dd/console", "/events/tasks/../console", "/events/x"]) {
      const refused = await listen(path);
      expect(refused.status).toBe(404);
      await refused.ended;
    }
  });
});
