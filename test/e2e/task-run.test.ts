import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "../fixtures/cli.ts";

const program = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
let folder = "";
let runs = 0;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-e2e-task-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function taskRun(args: readonly string[], task: unknown) {
  const workspace = join(folder, `ws${++runs}`);
  await mkdir(workspace);
  await writeFile(join(workspace, "task.json"), JSON.stringify(task));
  const ended = await runCli("gevulot-devnet", ["task", "run", program, "--workspace", workspace, ...args]);
  return { ...ended, workspace };
}
const onHost = ["--provider", "process"];
const taskOf = (...args: string[]) => ({ id: "t1", args, files: [] });
const read = (workspace: string, name: string) => readFile(join(workspace, name), "utf8");

test("a program runs alone in a virtual machine, and again in the same workspace", async () => {
  const { workspace, ...first } = await taskRun(["--json"], taskOf("ok", "a", "b"));
  expect(first.stderr).not.toContain("error");
  const { status, data } = JSON.parse(first.stdout);
  expect([status, data.provider, data.failure, data.dataBytes]).toEqual(["ok", "qemu", null, 8]);
  expect(data.files).toEqual([
    { vmPath: "/workspace/out.txt", checksum: expect.stringMatching(/^[0-9a-f]{64}$/) },
  ]);
  expect(await read(workspace, "out.txt")).toBe("a,b");
  const taskPath = join(folder, "other.json");
  await writeFile(taskPath, JSON.stringify(taskOf("ok", "c")));
  const args = ["task", "run", program, "--workspace", workspace, "--task", taskPath, ...onHost];
  const again = await runCli("gevulot-devnet", args);
  expect(again.stderr).toContain("console:\nmode ok\n");
  expect(again.stdout).toMatch(
    /^result +6 bytes, in .*\nran .* s \(process, none, VSOCK: none\)\nfile +\/workspace\/out\.txt /,
  );
  const { Ok } = JSON.parse(await read(workspace, "task_result.json"));
  expect([Ok.id, Buffer.from(Ok.data).toString(), Ok.files]).toEqual([
    "t1",
    "done c",
    ["/workspace/out.txt"],
  ]);
  expect(await read(workspace, "out.txt")).toBe("c");
  // The task of the workspace is the user's.
  expect(JSON.parse(await read(workspace, "task.json"))).toEqual(taskOf("ok", "a", "b"));
});

test("a failure is told, and stands in the result", async () => {
  const { code, stdout, stderr, workspace } = await taskRun(onHost, taskOf("throw"));
  expect(stderr).toMatch(/console:\nmode throw[\s\S]*error: PROGRAM_FAILED: the program's own message/);
  expect([code, stdout]).toEqual([1, ""]);
  expect(JSON.parse(await read(workspace, "task_result.json")).Err).toContain("the program's own message");
  const exits = await taskRun([...onHost, "--json"], taskOf("exit", "3"));
  expect(JSON.parse(exits.stdout).error).toEqual({
    code: "TASK_ALONE_FAILED",
    message: "PROGRAM_FAILED: The program ended with exit code 3.",
  });
  expect(exits.code).toBe(1);
});

test.each<[string, readonly string[], unknown, number, RegExp]>([
  [
    "a task without args",
    onHost,
    { id: "a", files: [] },
    1,
    /error: The task .*task\.json can't be used \(args: /,
  ],
  ["a task that isn't there", ["--task", "/none.json"], taskOf(), 1, /error: The task \/none\.json .*ENOENT/],
  ["no processor", ["--cpus", "0"], taskOf(), 2, /error: --cpus must be a whole number from 1 up\./],
  ["another provider", ["--provider", "docker"], taskOf(), 2, /provider/],
])("refused: %s", async (_name, args, task, code, message) => {
  const ended = await taskRun(args, task);
  expect(ended.stderr).toMatch(message);
  expect(ended.code).toBe(code);
  expect(await readdir(ended.workspace)).toEqual(["task.json"]);
});

test("a file that the task names and the workspace lacks is missed before the start", async () => {
  const { code, stderr } = await taskRun(onHost, { ...taskOf("ok"), files: ["/workspace/in.txt"] });
  expect([code, stderr]).toEqual([
    1,
    expect.stringMatching(/^error: .*\/workspace\/in\.txt is not there\. Put it/),
  ]);
});

test("what is neither image nor program is refused", async () => {
  const workspace = join(folder, "none");
  await mkdir(workspace);
  await writeFile(join(workspace, "task.json"), JSON.stringify(taskOf()));
  const args = ["task", "run", join(workspace, "task.json"), "--workspace", workspace, ...onHost];
  const ended = await runCli("gevulot-devnet", args);
  expect(ended.stderr).toMatch(/error: .*not an image made by/);
  expect(ended.code).toBe(1);
});
