import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTaskExchange } from "../vm/vsock/taskExchange.ts";
import { OutputFileProblem } from "./collectFiles.ts";
import { compareChecksums, takeResult } from "./takeResult.ts";

const TASK = { txHash: "ab", name: "", args: [], files: [] };
const CHECKSUM = "01".repeat(32);
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gv-take-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const leave = (result: object) => writeFile(join(folder, "task_result.json"), JSON.stringify(result));

test("what came over VSOCK counts before what lies in the workspace", async () => {
  const exchange = createTaskExchange(TASK);
  await leave({ Ok: { id: "1", data: [1], files: [] } });
  expect(await takeResult(exchange, folder, "1")).toEqual({ kind: "ok", data: Uint8Array.of(1), files: [] });
  const files = [{ path: "/workspace/a", checksum: Buffer.from(CHECKSUM, "hex") }];
  exchange.submit({ txHash: "ab", result: { kind: "task", data: Uint8Array.of(2), files } });
  expect(await takeResult(exchange, folder, "1")).toEqual({
    kind: "ok",
    data: Uint8Array.of(2),
    files: ["/workspace/a"],
    checksums: new Map([["/workspace/a", CHECKSUM]]),
  });
});

test("a failure has the reason that lies in the workspace, and never its result", async () => {
  const exchange = createTaskExchange(TASK);
  exchange.submit({ txHash: "ab", result: { kind: "error", error: "Failed" } });
  await leave({ Err: "no such witness" });
  expect(await takeResult(exchange, folder, "1")).toEqual({ kind: "err", message: "no such witness" });
  await leave({ Ok: { id: "1", data: [1], files: [] } });
  expect(await takeResult(exchange, folder, "1")).toMatchObject({
    kind: "err",
    message: expect.stringContaining("not why"),
  });
});

test("a file that is not what the program says fails the task", () => {
  const file = { vmPath: "/workspace/a", checksum: CHECKSUM, bytes: 1, path: "/x" };
  const compare = (said: string | undefined) => () =>
    compareChecksums([file], said === undefined ? undefined : new Map([[file.vmPath, said]]));
  expect(compare(undefined)).not.toThrow();
  expect(compare(CHECKSUM)).not.toThrow();
  expect(compare("02".repeat(32))).toThrow(OutputFileProblem);
});

test("a result file may name the task as either way gave it", async () => {
  const exchange = createTaskExchange(TASK);
  await leave({ Ok: { id: "ab", data: [3], files: [] } });
  expect(await takeResult(exchange, folder, "1")).toEqual({ kind: "ok", data: Uint8Array.of(3), files: [] });
  await leave({ Ok: { id: "cd", data: [3], files: [] } });
  expect(await takeResult(exchange, folder, "1")).toMatchObject({ kind: "invalid" });
});
