import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import * as loader from "@grpc/proto-loader";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Transport } from "../transport.ts";
import { openWorkspace, type Workspace } from "../workspace.ts";
import { createVsockTransport } from "./vsockTransport.ts";

/** The node is @grpc/grpc-js here: nothing of ours. */
const definition = loader.loadSync(fileURLToPath(new URL("../../proto/vm_service.proto", import.meta.url)), {
  keepCase: true,
  enums: String,
});
type Reply = (error: Partial<grpc.StatusObject> | null, value?: object) => void;
interface Node {
  getTask: () => object | Error;
  submitResult: (request: {
    tx_hash: string;
    task?: { data: Buffer; files: object[] };
    error?: string;
  }) => object | Error;
}

let folder = "";
let workspace: Workspace;
let server: grpc.Server | undefined;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "gv-transport-")));
  workspace = openWorkspace({ folder });
});
afterEach(() => {
  server?.forceShutdown();
  rmSync(folder, { recursive: true, force: true });
});

async function startNode(node: Node): Promise<void> {
  server = new grpc.Server({ "grpc.max_receive_message_length": 32 * 2 ** 20 });
  const answer = (value: object | Error, reply: Reply) =>
    value instanceof Error
      ? reply({ code: grpc.status.INTERNAL, details: value.message })
      : reply(null, value);
  server.addService(definition["vm_service.VMService"] as grpc.ServiceDefinition, {
    GetTask: (_: unknown, reply: Reply) => answer(node.getTask(), reply),
    SubmitResult: (call: { request: Parameters<Node["submitResult"]>[0] }, reply: Reply) =>
      answer(node.submitResult(call.request), reply),
  });
  await new Promise<void>((resolve, reject) => {
    server?.bindAsync(`unix:${join(folder, "node")}`, grpc.ServerCredentials.createInsecure(), (error) =>
      error ? reject(error) : resolve(),
    );
  });
}

const open = (): Promise<Transport> =>
  createVsockTransport({ workspace, connect: () => connect(join(folder, "node")), pollMs: 10 });
const TASK = { tx_hash: "ab", name: "n", args: ["", "é"], files: ["/workspace/in"] };

test("a task after a while, its result with checksums, and the next task", async () => {
  const answers: object[] = [
    { error: "Unavailable" },
    {},
    { task: TASK },
    { task: { ...TASK, tx_hash: "cd" } },
  ];
  const results: object[] = [];
  await startNode({
    getTask: () => answers.shift() ?? new Error("asked too often"),
    submitResult(request) {
      results.push(request);
      return { continue: results.length === 1 };
    },
  });
  const transport = await open();
  const task = await transport.nextTask();
  expect(task).toEqual({ id: "ab", args: ["", "é"], files: ["/workspace/in"] });
  writeFileSync(join(folder, "empty"), "");
  const data = Buffer.alloc(8 * 2 ** 20, 7);
  expect(await transport.succeed(task, { data, files: ["/workspace/empty"] })).toBe(true);
  // The BLAKE3 of nothing, as its authors give it.
  const checksum = Buffer.from("af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262", "hex");
  const [{ task: got, ...rest }] = results as [{ task: { data: Buffer; files: object[] } }];
  expect(rest).toEqual({ tx_hash: "ab" });
  // Compared at once: element by element it would take a minute.
  expect(data.equals(got.data)).toBe(true);
  expect(got.files).toEqual([{ path: "/workspace/empty", checksum }]);
  const next = await transport.nextTask();
  expect(next.id).toBe("cd");
  expect(await transport.succeed(next, { data: new Uint8Array(), files: [] })).toBe(false);
});

test("a failure is sent, and its reason left where the node finds it", async () => {
  const results: object[] = [];
  await startNode({
    getTask: () => ({ task: TASK }),
    submitResult(request) {
      results.push(request);
      return {};
    },
  });
  const transport = await open();
  await transport.fail(await transport.nextTask(), "no such witness");
  expect(results).toEqual([{ tx_hash: "ab", error: "Failed" }]);
  expect(JSON.parse(readFileSync(join(folder, "task_result.json"), "utf8"))).toEqual({
    Err: "no such witness",
  });
});

test("a result is sent again where the answer was lost, and given up after three times", async () => {
  let left = 2;
  let asked = 0;
  await startNode({
    getTask: () => ({ task: TASK }),
    submitResult() {
      asked++;
      return left-- > 0 ? new Error("not now") : {};
    },
  });
  const transport = await open();
  const task = await transport.nextTask();
  const result = { data: new Uint8Array(), files: [] };
  expect(await transport.succeed(task, result)).toBe(false);
  expect(asked).toBe(3);
  left = 3;
  await expect(transport.succeed(task, result)).rejects.toMatchObject({
    code: "RESULT_NOT_SENT",
    message: expect.stringMatching(/SubmitResult: not now \(gRPC status 13\)/),
  });
});

test("a node that has no task for this machine says so", async () => {
  await startNode({ getTask: () => ({ error: "Failed" }), submitResult: () => ({}) });
  await expect((await open()).nextTask()).rejects.toMatchObject({ code: "NO_TASK" });
});

test.each([
  ["nobody listens", null, /ENOENT|ECONNREFUSED/],
  ["it hangs up", (socket: { end(text: string): void }) => socket.end(""), /GetTask: /],
  [
    "it speaks HTTP/1.1",
    (socket: { end(text: string): void }) => socket.end("HTTP/1.1 400 Bad\r\n\r\n"),
    /GetTask: /,
  ],
])("no transport where %s", async (_, onConnection, problem) => {
  const other = onConnection && createServer(onConnection);
  if (other) await new Promise<void>((resolve) => other.listen(join(folder, "node"), resolve));
  try {
    await expect(open()).rejects.toThrow(problem);
  } finally {
    other?.close();
  }
});
