import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, realpath, rm, stat, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildNanosImage } from "../../devnet/src/image/nanos/buildNanosImage.ts";
import { readNanosBoot } from "../../devnet/src/image/nanos/nanosBoot.ts";
import { prepareBoot } from "../../devnet/src/image/prepareBoot.ts";
import { explainOutcome } from "../../devnet/src/result/explainOutcome.ts";
import { takeResult } from "../../devnet/src/result/takeResult.ts";
import type { Cgroups } from "../../devnet/src/vm/cgroups.ts";
import { createVmProvider } from "../../devnet/src/vm/createVmProvider.ts";
import type { VmEvent, VmOutcome, VmProvider } from "../../devnet/src/vm/provider.ts";
import { createQemuProvider } from "../../devnet/src/vm/qemuProvider.ts";
import { createTaskExchange, type TaskExchange } from "../../devnet/src/vm/vsock/taskExchange.ts";
import { runCli } from "../fixtures/cli.ts";
import { type FakeEnd, makeFakeNanos, tinyProgram } from "../fixtures/fakeNanos.ts";

const log = pino({ level: "silent" });
const DEADLINE_MS = 100_000;
let root = "";
let provider: VmProvider;
let count = 0;

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "gevulot-nanos-")));
  const options = {
    provider: "auto",
    qemuPath: "qemu-system-x86_64",
    cacheDir: join(root, "cache"),
  } as const;
  provider = await createVmProvider({ log }, options);
  await tinyProgram(join(root, "tiny"));
});
afterAll(async () => {
  await provider?.[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

interface Run {
  readonly outcome: VmOutcome;
  readonly console: string;
  readonly stages: readonly VmEvent["stage"][];
}

async function run(
  opsHome: string,
  manifest: object,
  deadlineMs = DEADLINE_MS,
  runner = provider,
  exchange = newExchange(),
): Promise<Run> {
  const folder = join(root, `run-${++count}`);
  const workspaceDir = join(folder, "workspace");
  await mkdir(workspaceDir, { recursive: true });
  const image = await buildNanosImage({
    program: join(root, "tiny"),
    workingDir: root,
    manifest,
    outputPath: join(folder, "tiny.img"),
    kernelFiles: { opsHome },
  });
  const stages: VmEvent["stage"][] = [];
  const outcome = await runner.run(
    {
      attemptId: `nanos-${count}`,
      imagePath: image.path,
      imageChecksum: image.checksum,
      exchange,
      workspaceDir,
      memMib: 256,
      cpus: 1,
      gpuDevices: [],
      consolePath: join(folder, "console"),
      consoleLimitBytes: 65_536,
      deadlineMs,
    },
    { onEvent: ({ stage }) => stages.push(stage) },
  );
  // One that is refused has none.
  const console = await readFile(join(folder, "console"), "utf8").catch(() => "");
  return { outcome, console, stages };
}

async function fake(
  end: FakeEnd,
  deadlineMs?: number,
  exchange?: TaskExchange,
  runner = provider,
): Promise<Run> {
  const opsHome = join(root, `ops-${count}`);
  await makeFakeNanos(opsHome, end);
  return run(opsHome, {}, deadlineMs, runner, exchange);
}

const newExchange = () => createTaskExchange({ txHash: "", name: "", args: [], files: [] });

describe("a Nanos image runs as the existing node runs it, with a stand-in for the kernel", () => {
  test("that powers off: its workspace decides", async () => {
    const { outcome, console, stages } = await fake("power off");
    expect(outcome).toEqual({ kind: "exited", exitCode: 0, resultDecides: true });
    expect(console).toContain("a stand-in for Nanos runs");
    expect(stages).toEqual(["spawned", "program"]);
  });

  test("in a control group for its QEMU, with what that needs besides the guest", async () => {
    const groups: unknown[] = [];
    const cgroups: Cgroups = {
      async open(name, [pid], { memoryBytes, cpus }) {
        const command = await readFile(`/proc/${pid}/cmdline`, "utf8");
        groups.push({ name, isQemu: command.includes("qemu"), memMib: memoryBytes / 2 ** 20, cpus });
        return { [Symbol.asyncDispose]: async () => void groups.push(existsSync(`/proc/${pid}`)) };
      },
      async [Symbol.asyncDispose]() {},
    };
    const deps = { log, prepareBoot, readNanosBoot, cgroups };
    const qemu = { qemuPath: "qemu-system-x86_64", cacheDir: join(root, "cache") };
    await using grouped = await createQemuProvider(deps, qemu);
    await fake("power off", undefined, undefined, grouped);
    const memMib = 256 + (grouped.accelerator === "kvm" ? 512 : 1_536);
    // The group goes after the process.
    expect(groups).toEqual([{ name: `nanos-${count}`, isQemu: true, memMib, cpus: 2 }, false]);
  });

  test("that resets: it is stopped the first time, and said why", async () => {
    const { outcome, console } = await fake("reset");
    expect(outcome).toMatchObject({ kind: "rebooted", reason: expect.stringContaining("a stand-in for") });
    expect(console.match(/a stand-in/g)).toHaveLength(1);
    const facts = { step: 0, deadline: { ms: 1, setBy: "node" as const }, memMib: 1 };
    expect(explainOutcome(outcome, { kind: "missing" }, facts)).toMatchObject({
      code: "PROGRAM_FAILED",
      message: expect.stringMatching(/rebooted.*a stand-in for Nanos runs/),
    });
    const own = explainOutcome(outcome, { kind: "err", message: "no witness" }, facts);
    expect(own).toMatchObject({ code: "PROGRAM_FAILED", message: "no witness" });
  });

  test("that leaves with debug_exit: the program's exit code", async () => {
    expect((await fake({ debugExit: 3 })).outcome).toMatchObject({ kind: "exited", exitCode: 3 });
  });

  test("that fails itself", async () => {
    expect((await fake({ debugExit: 126 })).outcome).toMatchObject({
      kind: "vmDied",
      reason: expect.stringMatching(/the guest's kernel failed.*a stand-in for Nanos runs/),
    });
  });

  test("that never ends: until its deadline", async () => {
    const { outcome } = await fake("hang", 4_000);
    expect(outcome).toEqual({ kind: "deadline", resultDecides: true });
  });

  test("that idles on after its result: it is ended, and the result counts", async () => {
    const exchange = newExchange();
    exchange.submit({ txHash: "", result: { kind: "task", data: Uint8Array.of(7), files: [] } });
    const { outcome } = await fake("hang", DEADLINE_MS, exchange);
    const facts = { step: 0, deadline: { ms: 1, setBy: "node" as const }, memMib: 1 };
    const result = explainOutcome(outcome, await takeResult(exchange, root, ""), facts);
    expect(result).toMatchObject({ kind: "ok", data: Uint8Array.of(7) });
    expect(outcome.kind).toBe("exited");
  });
});

test("one that only speaks VSOCK is refused where there is none, and the reason is said", async () => {
  const program = join(root, "speaks-vsock");
  const service = Buffer.from("/vm_service.VMService/GetTask");
  await writeFile(program, Buffer.concat([await readFile(join(root, "tiny")), service]), { mode: 0o755 });
  const opsHome = join(root, "ops-vsock");
  await makeFakeNanos(opsHome, "hang");
  await using deaf = await createVmProvider(
    { log },
    {
      provider: "auto",
      qemuPath: "qemu-system-x86_64",
      cacheDir: join(root, "cache"),
      vsock: { mode: "off" },
    },
  );
  const { outcome } = await run(opsHome, { Program: "speaks-vsock" }, DEADLINE_MS, deaf);
  expect(outcome).toEqual({
    kind: "bootFailed",
    reason: "its program takes tasks over VSOCK alone, which is not to be had here: it is switched off.",
  });
});

test("the commands take it from build to verify", async () => {
  const home = join(root, "home");
  await makeFakeNanos(join(home, ".ops"), "hang");
  await tinyProgram(join(home, "tiny"));
  const image = (...args: string[]) =>
    runCli("gevulot-devnet", ["image", ...args], { cwd: home, env: { OPS_HOME: home } });
  const built = await image("build", "tiny", "--format", "nanos", "-a", "x", "-i", "one.two");
  expect(built.stdout).toContain(`Bootable image file:${join(home, "one.img")}\n`);
  const traced = await runCli("gevulot-devnet", ["vm", "run", "one.img", "--trace", "t"], { cwd: home });
  expect(traced.stderr).toMatch(/--trace can't be used: one\.img is a Nanos image/);
  const inspected = JSON.parse((await image("inspect", "one.img", "--json")).stdout);
  expect(inspected.data).toMatchObject({
    kind: "nanos",
    args: ["tiny", "x"],
    mounts: { "%0": "/workspace" },
  });
  expect((await image("ls", "one.img")).stdout.split("\n")).toEqual([
    "/etc",
    "/proc",
    "/tiny",
    "/workspace",
    "",
  ]);
  expect((await image("cat", "one.img", "/etc/resolv.conf")).stdout).toBe("nameserver  8.8.8.8\n");
  expect((await image("cp", "-r", "one.img", "/etc", "out")).code).toBe(0);
  expect(await readFile(join(home, "out", "passwd"), "utf8")).toMatch(/^root:/);
  expect((await image("verify", "one.img")).stdout).toMatch(/^ok +mounts +%0 at \/workspace$/m);
  const elsewhere = await image("build", "tiny", "--format", "nanos", "--kernel", "absent");
  expect([elsewhere.code, elsewhere.stderr]).toEqual([1, expect.stringMatching(/No Nanos kernel: .*absent/)]);
});

test("a program runs under Nanos itself", async (context) => {
  const opsHome = join(process.env.OPS_HOME || homedir(), ".ops");
  const isInstalled = await stat(join(opsHome, "latest.txt")).catch(() => null);
  if (!isInstalled) {
    return context.skip(
      "Nanos's kernel.img and boot.img are not here: install ops, or set OPS_HOME to where it is",
    );
  }
  const { outcome, console } = await run(opsHome, { ManifestPassthrough: { debug_exit: "t" } });
  expect(console).toContain("hello");
  expect(outcome).toEqual({ kind: "exited", exitCode: 0 });
});
