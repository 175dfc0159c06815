import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readResult } from "./readResult.ts";

let workspace: string;
beforeEach(async () => {
  workspace = await mkdtemp(join(tmpdir(), "result-"));
});
afterEach(() => rm(workspace, { recursive: true }));

const write = (text: string) => writeFile(join(workspace, "task_result.json"), text);
const problemOf = async (): Promise<string> => {
  const result = await readResult(workspace, ["t1"]);
  return result.kind === "invalid" ? result.problem : result.kind;
};

describe("readResult", () => {
  test("reads data and files", async () => {
    await write('{"Ok":{"id":"t1","data":[0,255],"files":["/workspace/proof.bin"]}}');
    expect(await readResult(workspace, ["t1"])).toEqual({
      kind: "ok",
      data: Uint8Array.of(0, 255),
      files: ["/workspace/proof.bin"],
    });
  });

  test("reads the program's own error", async () => {
    await write('{"Err":"the witness is wrong"}');
    expect(await readResult(workspace, ["t1"])).toEqual({ kind: "err", message: "the witness is wrong" });
  });

  test.each([
    ["{", /no JSON/],
    ["{}", /neither Ok nor Err is there\. It is {"Ok": /],
    ["null", /neither Ok nor Err/],
    ['{"Ok":[]}', /Ok: no object/],
    ['{"Ok":{"id":"t1","data":[256],"files":[]}}', /Ok\.data: no array of bytes/],
    ['{"Ok":{"id":"t1","data":"AA==","files":[]}}', /Ok\.data: no array of bytes.*the numbers of its bytes/],
    ['{"Ok":{"id":7,"data":[],"files":[]}}', /Ok\.id: no string/],
    ['{"Ok":{"id":"t1","data":[],"files":"proof.bin"}}', /Ok\.files: no array of paths/],
    ['{"Err":{"message":"x"}}', /Err: no string/],
    ['{"Ok":{"id":"other","data":[],"files":[]}}', /answers task "other", this was task "t1"/],
    ['{"Ok":{"id":"t1","data":[],"files":[]},"Err":"both"}', /Err: other keys are beside it/],
  ])("refuses %s", async (text, problem) => {
    await write(text);
    expect(await problemOf()).toMatch(problem);
  });

  test("refuses more files than a result may name, and what would fill the memory", async () => {
    const files = Array.from({ length: 10_001 }, (_, index) => `/workspace/${index}`);
    await write(JSON.stringify({ Ok: { id: "t1", data: [], files } }));
    expect(await problemOf()).toMatch(/names 10001 files, 10000 are allowed: pack them into one/);
    await write(`[${"{},".repeat(1_000_001)}0]`);
    expect(await problemOf()).toMatch(/a million texts, lists and objects/);
  });

  test("says when there is none", async () => {
    expect(await problemOf()).toBe("missing");
  });

  test("does not follow a link, nor wait for a fifo, nor read a giant", async () => {
    await symlink("/etc/passwd", join(workspace, "task_result.json"));
    expect(await problemOf()).toMatch(/symbolic link/);
    await rm(join(workspace, "task_result.json"));
    await mkdir(join(workspace, "task_result.json"));
    expect(await problemOf()).toMatch(/no plain file/);
    await rm(join(workspace, "task_result.json"), { recursive: true });
    execFileSync("mkfifo", [join(workspace, "task_result.json")]);
    expect(await problemOf()).toMatch(/no plain file/);
    await rm(join(workspace, "task_result.json"));
    await write("");
    await truncate(join(workspace, "task_result.json"), 2 ** 33);
    expect(await problemOf()).toMatch(/hand large data over as files/);
  });
});
