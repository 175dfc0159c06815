import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startOf } from "../processTable.ts";
import { createProcessProvider, type HostProgram } from "./processProvider.ts";
import type { VmEvent, VmOutcome, VmProvider, VmTask } from "./provider.ts";

const log = pino({ level: "silent" });
let root = "";
/** What an image holds. */
let programDir = "";
let count = 0;
beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "gevulot-process-")));
  programDir = join(root, "program");
  await mkdir(programDir);
});
afterAll(() => rm(root, { recursive: true, force: true }));

const createProvider = (program: Partial<HostProgram>): Promise<VmProvider> =>
  createProcessProvider(
    {
      log,
      extractProgram: async () => ({
        dir: programDir,
        program: "/bin/sh",
        args: [],
        env: {},
        kind: "elf",
        ...program,
      }),
    },
    { cacheDir: root },
  );

async function newTask(changes: Partial<VmTask> = {}): Promise<VmTask> {
  const workspaceDir = join(root, `workspace-${++count}`);
  await mkdir(workspaceDir);
  return {
    attemptId: `attempt-${count}`,
    imagePath: "unused",
    imageChecksum: "",
    workspaceDir,
    memMib: 64,
    cpus: 1,
    gpuDevices: [],
    consolePath: join(root, `console-${count}`),
    consoleLimitBytes: 10_000,
    deadlineMs: 20_000,
    ...changes,
  };
}

const shell = (script: string): Partial<HostProgram> => ({ args: ["-c", script] });

test.each<[string, VmOutcome]>([
  ["exit 0", { kind: "exited", exitCode: 0 }],
  ["exit 3", { kind: "exited", exitCode: 3 }],
  ["kill -SEGV $$", { kind: "signalled", signal: "SIGSEGV" }],
  // A background process that keeps the console open does not hold up the end.
  ["sleep 60 & exit 4", { kind: "exited", exitCode: 4 }],
])("%s", async (script, outcome) => {
  await using provider = await createProvider(shell(script));
  expect(await provider.run(await newTask(), {})).toEqual(outcome);
});

test("JavaScript runs with the manifest's arguments and environment, in the program's folder", async () => {
  const program = join(programDir, "program.mjs");
  await writeFile(
    program,
    `console.log(JSON.stringify({ args: process.argv.slice(2), env: process.env, cwd: process.cwd() }));
     console.error("on standard error");`,
  );
  await using provider = await createProvider({ kind: "js", program, args: ["a b"], env: { MODE: "x" } });
  const events: VmEvent[] = [];
  const task = await newTask();
  const outcome = await provider.run(task, { onEvent: (event) => events.push(event) });
  expect(outcome).toEqual({ kind: "exited", exitCode: 0 });
  expect(events).toEqual([
    { stage: "spawned", pid: expect.any(Number), vsock: "none" },
    { stage: "program" },
    { stage: "leaving" },
  ]);
  const console = await readFile(task.consolePath, "utf8");
  expect(console).toContain("on standard error");
  const seen = JSON.parse(console.split("\n").find((line) => line.startsWith("{")) as string);
  expect(seen).toMatchObject({
    args: ["a b"],
    cwd: `${task.workspaceDir}.root`,
    env: { MODE: "x", GEVULOT_WORKSPACE: task.workspaceDir },
  });
  expect(seen.env.npm_config_user_agent ?? seen.env.VITEST).toBeUndefined();
});

test("a flood of output stays within its limit and ends well", async () => {
  await using provider = await createProvider(shell("head -c 5000000 /dev/zero; echo the end"));
  const task = await newTask();
  expect(await provider.run(task, {})).toEqual({ kind: "exited", exitCode: 0 });
  const console = await readFile(task.consolePath, "utf8");
  expect(console.length).toBeLessThanOrEqual(10_000);
  expect(console).toMatch(/left out\].*the end\n$/s);
});

const ENDLESS =
  "trap '' TERM; sleep 300 & echo $! >$GEVULOT_WORKSPACE/child; wait; while :; do sleep 1; done";

test("deadline, cancellation and the provider's end stop the whole group", async () => {
  const provider = await createProvider(shell(ENDLESS));
  const late = await newTask({ deadlineMs: 2_000 });
  const cancelled = await newTask();
  const stopped = await newTask();
  const childOf = async ({ workspaceDir }: VmTask) =>
    Number(await readFile(join(workspaceDir, "child"), "utf8").catch(() => 0));
  const abort = new AbortController();
  const outcomes = [
    provider.run(late, {}),
    provider.run(cancelled, { signal: abort.signal }),
    provider.run(stopped, {}),
  ];
  for (const task of [cancelled, stopped]) await expect.poll(() => childOf(task)).toBeGreaterThan(0);
  abort.abort();
  expect(await Promise.all(outcomes.slice(0, 2))).toEqual([{ kind: "deadline" }, { kind: "cancelled" }]);
  await provider[Symbol.asyncDispose]();
  expect(await outcomes[2]).toEqual({ kind: "cancelled" });
  for (const task of [late, cancelled, stopped]) {
    const child = await childOf(task);
    expect(child).toBeGreaterThan(0);
    await expect.poll(() => startOf(child)).toBeNull();
  }
  expect(await provider.run(await newTask(), {})).toEqual({ kind: "cancelled" });
});

test("a program that can't be started, and an image that is none", async () => {
  await using missing = await createProvider({ program: "/nonexistent/program" });
  expect(await missing.run(await newTask(), {})).toEqual({
    kind: "bootFailed",
    reason: expect.stringContaining("/nonexistent/program"),
  });
  const bad = new GevulotError("IMAGE_INVALID", "not an image", { context: { path: "x", reason: "y" } });
  const deps = { log, extractProgram: () => Promise.reject(bad) };
  await using damaged = await createProcessProvider(deps, { cacheDir: root });
  expect(await damaged.run(await newTask(), {})).toEqual({ kind: "bootFailed", reason: "not an image" });
  const broken = { log, extractProgram: () => Promise.reject(new Error("no tool")) };
  await using tools = await createProcessProvider(broken, { cacheDir: root });
  await expect(tools.run(await newTask(), {})).rejects.toThrow("no tool");
});

test("what is called off is not copied first; what can't be copied is no failure of the node", async () => {
  const place = { dir: join(root, "none") };
  const abort = new AbortController();
  const extract = (atExtraction: () => void) => ({
    log,
    extractProgram: async () => {
      atExtraction();
      return { ...place, program: "/bin/true", args: [], env: {}, kind: "elf" as const };
    },
  });
  await using calledOff = await createProcessProvider(
    extract(() => abort.abort()),
    { cacheDir: root },
  );
  expect(await calledOff.run(await newTask(), { signal: abort.signal })).toEqual({ kind: "cancelled" });
  await using other = await createProcessProvider(
    extract(() => {}),
    { cacheDir: root },
  );
  expect(await other.run(await newTask(), {})).toEqual({
    kind: "bootFailed",
    reason: expect.stringContaining("ENOENT"),
  });
  const late = await newTask({ runEndsAtMs: performance.now() - 1 });
  expect(await other.run(late, {})).toEqual({ kind: "deadline" });
});

test("a program whose name begins with two dots is one of its folder", async () => {
  const program = join(programDir, "..x.mjs");
  await writeFile(program, "console.log(import.meta.dirname);");
  await using provider = await createProvider({ kind: "js", program });
  const task = await newTask();
  expect(await provider.run(task, {})).toEqual({ kind: "exited", exitCode: 0 });
  expect(await readFile(task.consolePath, "utf8")).toBe(`${task.workspaceDir}.root\n`);
});

test("what a program writes beside itself, the next task does not find", async () => {
  await writeFile(join(programDir, "own"), "as deployed");
  await using provider = await createProvider(shell("mkdir state && cat own && echo changed >own"));
  for (let run = 0; run < 2; run++) {
    const task = await newTask();
    expect(await provider.run(task, {})).toEqual({ kind: "exited", exitCode: 0 });
    expect(await readFile(task.consolePath, "utf8")).toBe("as deployed");
  }
  expect(await readFile(join(programDir, "own"), "utf8")).toBe("as deployed");
  expect((await readdir(root)).filter((name) => name.endsWith(".root"))).toEqual([]);
});

test("what a program left running in a session of its own ends with the task", async () => {
  const leave = `setsid sh -c 'echo $$ >"$GEVULOT_WORKSPACE/child"; exec sleep 300' & `;
  const wait = `until [ -s "$GEVULOT_WORKSPACE/child" ]; do sleep 0.05; done`;
  await using provider = await createProvider(shell(leave + wait));
  const task = await newTask();
  expect(await provider.run(task, {})).toEqual({ kind: "exited", exitCode: 0 });
  const child = Number(await readFile(join(task.workspaceDir, "child"), "utf8"));
  expect(child).toBeGreaterThan(1);
  await expect.poll(() => startOf(child)).toBeNull();
});

test("a program that takes away what its output is kept in ends as in a VM", async () => {
  const script = `cd "$GEVULOT_WORKSPACE" && rm -r .gevulot && ln -s ${root} .gevulot && echo proof`;
  await using provider = await createProvider(shell(script));
  const task = await newTask({ exec: { args: ["-c", script], keepStdoutBytes: 100 } });
  await mkdir(join(task.workspaceDir, ".gevulot"));
  expect(await provider.run(task, {})).toEqual({ kind: "exited", exitCode: 0 });
  expect(await readdir(root)).not.toContain("stdout");
});

test("its Run's end is a moment: what went before the program counts", async () => {
  await using provider = await createProvider(shell("sleep 60"));
  const task = await newTask({ deadlineMs: 60_000, runEndsAtMs: performance.now() + 300 });
  expect(await provider.run(task, {})).toEqual({ kind: "deadline" });
});
