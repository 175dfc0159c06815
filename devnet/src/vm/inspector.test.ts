import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type InspectOptions, inspectFlag } from "./inspector.ts";
import { createProcessProvider } from "./processProvider.ts";

const DEADLINE_MS = 20_000;
let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "inspector-"));
  await mkdir(join(root, "ws"));
  await mkdir(join(root, "image"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A program under a debugger; `inspector` resolves with the address that the log has. */
async function run(script: string, inspect: InspectOptions) {
  const dir = join(root, "image");
  const program = join(dir, "program.mjs");
  await writeFile(program, script);
  let tell: (url: string) => void = () => {};
  const inspector = new Promise<string>((resolve) => {
    tell = resolve;
  });
  const log = pino(
    {},
    { write: (line: string) => line.includes('"inspector"') && tell(JSON.parse(line).inspector) },
  );
  const image = { dir, program, args: [], env: {}, kind: "js" } as const;
  const provider = await createProcessProvider(
    { log, extractProgram: async () => image },
    { cacheDir: root, inspect },
  );
  const consolePath = join(root, "console");
  const outcome = provider.run(
    {
      attemptId: "7-1",
      imagePath: "",
      imageChecksum: "",
      workspaceDir: join(root, "ws"),
      memMib: 64,
      cpus: 1,
      gpuDevices: [],
      consolePath,
      consoleLimitBytes: 65_536,
      deadlineMs: DEADLINE_MS,
    },
    {},
  );
  return { provider, inspector, outcome, console: () => readFile(consolePath, "utf8") };
}

/** A message of a web socket's client: short, and masked as clients must. */
function frame(message: object): Buffer {
  const body = Buffer.from(JSON.stringify(message));
  const mask = randomBytes(4);
  const masked = body.map((byte, index) => byte ^ (mask[index % 4] as number));
  return Buffer.concat([Buffer.from([0x81, 0x80 | body.length]), mask, masked]);
}

async function attach(url: string): Promise<Socket> {
  const headers = {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": randomBytes(16).toString("base64"),
  };
  const opening = request(url.replace("ws:", "http:"), { headers }).end();
  const [, socket] = (await once(opening, "upgrade")) as [unknown, Socket];
  return socket;
}

test("a program that waits goes on when a debugger has come, which can look into it", async () => {
  const script = "console.log('answer', globalThis.answer ?? 'unset');";
  const { provider, inspector, outcome, console } = await run(script, { port: 0, wait: true });
  await using _ = provider;
  const socket = await attach(await inspector);
  let heard = "";
  socket.on("data", (chunk: Buffer) => {
    heard += chunk.toString("latin1");
  });
  socket.write(
    frame({ id: 1, method: "Runtime.evaluate", params: { expression: "globalThis.answer = 41+1" } }),
  );
  await expect.poll(() => heard, { timeout: DEADLINE_MS }).toContain('"value":42');
  socket.write(frame({ id: 2, method: "Runtime.runIfWaitingForDebugger" }));
  await expect.poll(console, { timeout: DEADLINE_MS }).toContain("answer 42");
  socket.destroy();
  expect(await outcome).toEqual({ kind: "exited", exitCode: 0 });
});

test("without waiting, the program runs as it would, and says where to attach", async () => {
  const { provider, inspector, outcome } = await run("setTimeout(() => {}, 50)", { port: 0, wait: false });
  await using _ = provider;
  expect(await inspector).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\/[0-9a-f-]{36}$/);
  expect(await outcome).toEqual({ kind: "exited", exitCode: 0 });
});

test("a port that another has is left to it", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  expect(await inspectFlag({ port, wait: false })).toBe("--inspect=127.0.0.1:0");
  server.close();
  await once(server, "close");
  expect(await inspectFlag({ port, wait: true })).toBe(`--inspect-brk=127.0.0.1:${port}`);
});
