import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdir, mkdtemp, readFile, realpath, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildImage } from "../../devnet/src/image/buildImage.ts";
import { prepareBoot } from "../../devnet/src/image/prepareBoot.ts";
import { startOf } from "../../devnet/src/processTable.ts";
import { collectFiles } from "../../devnet/src/result/collectFiles.ts";
import { createVmProvider } from "../../devnet/src/vm/createVmProvider.ts";
import type { VmEvent, VmOutcome, VmProvider, VmTask } from "../../devnet/src/vm/provider.ts";
import { createQemuProvider } from "../../devnet/src/vm/qemuProvider.ts";
import { reapLeftovers } from "../../devnet/src/vm/reapLeftovers.ts";

const log = pino({ level: "silent" });
const qemuPath = "qemu-system-x86_64";
/** Closed to everybody else, as a temporary folder or somebody's home is. */
let root = "";
let cacheDir = "";
let imagePath = "";
let provider: VmProvider;
let count = 0;

beforeAll(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "gevulot-vm-")));
  cacheDir = join(root, "cache");
  imagePath = join(root, "shell.img");
  // A small static program that starts in a moment and does what the workspace says.
  await buildImage({ program: "/bin/busybox", args: ["sh", "/workspace/run.sh"], outputPath: imagePath });
  await chmod(imagePath, 0o600);
  provider = await createVmProvider({ log }, { provider: "auto", qemuPath, cacheDir });
});
afterAll(async () => {
  await provider?.[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

async function newTask(script: string, changes: Partial<VmTask> = {}, parent = root): Promise<VmTask> {
  const workspaceDir = join(parent, `attempt-${++count}`, "workspace");
  await mkdir(workspaceDir, { recursive: true });
  await writeFile(join(workspaceDir, "run.sh"), script);
  return {
    attemptId: `attempt-${count}`,
    imagePath,
    imageChecksum: "",
    workspaceDir,
    memMib: 256,
    cpus: 1,
    gpuDevices: [],
    consolePath: join(root, `console-${count}.log`),
    consoleLimitBytes: 65_536,
    deadlineMs: 100_000,
    ...changes,
  };
}

interface Run {
  readonly outcome: VmOutcome;
  readonly events: readonly VmEvent[];
  readonly console: string;
  readonly pid: number;
}

/** Runs a task; `onProgram` is called with QEMU's process id when the program runs. */
async function run(
  task: VmTask,
  options: { using?: VmProvider; onProgram?: (pid: number) => void; signal?: AbortSignal } = {},
): Promise<Run> {
  const events: VmEvent[] = [];
  let pid = 0;
  const outcome = await (options.using ?? provider).run(task, {
    ...(options.signal && { signal: options.signal }),
    onEvent(event) {
      events.push(event);
      if (event.stage === "spawned") pid = event.pid;
      if (event.stage === "program") options.onProgram?.(pid);
    },
  });
  expect(pid === 0 ? null : startOf(pid), "QEMU is gone when its task has ended").toBeNull();
  return { outcome, events, console: await readFile(task.consolePath, "utf8"), pid };
}

const ENDLESS = "while :; do sleep 1; done\n";

describe("a program's end", () => {
  test("exit code, files, console and stages; two VMs at once", async () => {
    const script = `
      read -r input </workspace/deep/input.txt
      echo "on the console: $input"
      mkdir /workspace/out && head -c 3000000 /dev/zero >/workspace/out/large
      ln -s /etc/passwd /workspace/link; mkfifo /workspace/pipe
      free -m | grep Mem`;
    const first = await newTask(`${script}\nexit 3\n`);
    const second = await newTask(`${script}\nexit 0\n`, { cpus: 2 });
    for (const { workspaceDir } of [first, second]) {
      await mkdir(join(workspaceDir, "deep"));
      await writeFile(join(workspaceDir, "deep", "input.txt"), "from the host\n", { mode: 0o600 });
    }
    const [three, zero] = await Promise.all([run(first), run(second)]);
    expect(three.outcome).toEqual({ kind: "exited", exitCode: 3 });
    expect(zero.outcome).toEqual({ kind: "exited", exitCode: 0 });
    expect(three.events.map(({ stage }) => stage)).toEqual(["spawned", "booted", "program", "leaving"]);
    expect(three.console).toContain("on the console: from the host");
    // Nothing of firmware or kernel stands above the program's own words.
    expect(three.console.split("\n")[0]).toContain("on the console");
    expect(Number(/Mem:\s+(\d+)/.exec(three.console)?.[1])).toBeLessThan(256);
    expect((await stat(join(first.workspaceDir, "out", "large"))).size).toBe(3_000_000);
    // An image is read by QEMU's own user, and keeps its mode.
    expect((await stat(imagePath)).mode & 0o777).toBe(0o600);
    // A link that the guest makes is a plain file to the host, and known for what it is: its text is no output.
    expect(await readFile(join(first.workspaceDir, "link"), "utf8")).toBe("/etc/passwd");
    const staging = { maxBytes: 1_000 };
    const take = (path: string) => collectFiles(first.workspaceDir, [path], join(root, "staging"), staging);
    await expect(take("/workspace/link")).rejects.toThrow(/symbolic link/);
    await expect(take("/workspace/pipe")).rejects.toThrow(/no plain file/);
    expect(await take("/workspace/deep/input.txt")).toHaveLength(1);
  });

  test("a signal, and the want of memory", async () => {
    const [signalled, hungry] = await Promise.all([
      run(await newTask("kill -SEGV $$\n")),
      run(await newTask("x=0123456789; while :; do x=$x$x; done\n")),
    ]);
    expect(signalled.outcome).toEqual({ kind: "signalled", signal: "SIGSEGV" });
    expect(hungry.outcome).toEqual({ kind: "outOfMemory" });
  });

  test("a flood on the console, and a workspace without extended attributes", async () => {
    const flood = await newTask("echo first; yes 0123456789 | head -c 200000; echo; echo last\n");
    const parent = await mkdtemp("/dev/shm/gevulot-vm-");
    try {
      const plain = await newTask(
        "cd /workspace; echo made >file; chmod 4711 file; ln -s file link; ls -l\n",
        {},
        parent,
      );
      const asMyself = await createQemuProvider(
        { log, prepareBoot },
        { qemuPath, cacheDir, dropPrivileges: false },
      );
      const [flooded, shared] = await Promise.all([run(flood), run(plain, { using: asMyself })]);
      await asMyself[Symbol.asyncDispose]();
      expect(flooded.outcome).toEqual({ kind: "exited", exitCode: 0 });
      expect(flooded.console.length).toBeLessThanOrEqual(flood.consoleLimitBytes);
      expect(flooded.console).toMatch(/^first.*bytes of the console left out.*last\s*$/s);
      expect(shared.outcome).toEqual({ kind: "exited", exitCode: 0 });
      expect(shared.console).toMatch(/-rws--x--x.* file/);
      expect((await stat(join(plain.workspaceDir, "file"))).mode & 0o7000).toBe(0);
      const [taken, linked] = ["file", "link"].map((name) =>
        collectFiles(plain.workspaceDir, [`/workspace/${name}`], join(root, "staging"), { maxBytes: 9 }),
      );
      await expect(linked).rejects.toThrow(/symbolic link/);
      expect(await taken).toHaveLength(1);
    } finally {
      await rm(parent, { recursive: true, force: true });
    }
  });
});

describe("a VM that is ended", () => {
  test("by its deadline, and by its caller", async () => {
    const cancel = new AbortController();
    const [late, cancelled] = await Promise.all([
      run(await newTask(ENDLESS, { deadlineMs: 7_000 })),
      run(await newTask(ENDLESS), { signal: cancel.signal, onProgram: () => cancel.abort() }),
    ]);
    expect(late.outcome).toEqual({ kind: "deadline" });
    expect(cancelled.outcome).toEqual({ kind: "cancelled" });
  });

  test("by somebody's kill -9; as nobody, without a network", async () => {
    const task = await newTask(`ls /sys/class/net; echo here; ${ENDLESS}`);
    let user = "";
    let kill: Promise<void> | undefined;
    const { outcome, console, pid } = await run(task, {
      onProgram(qemu) {
        kill = (async () => {
          user = (await promisify(execFile)("ps", ["-o", "uid=", "-p", String(qemu)])).stdout.trim();
          await expect.poll(() => readFile(task.consolePath, "utf8").catch(() => "")).toContain("here");
          process.kill(qemu, "SIGKILL");
        })();
      },
    });
    await kill;
    expect(outcome).toEqual({
      kind: "vmDied",
      reason: expect.stringContaining(`process ${pid}) was ended by SIGKILL`),
    });
    expect(console).toMatch(/^lo\s+here/);
    expect(user).toBe(process.getuid?.() === 0 ? "65534" : String(process.getuid?.()));
  });
});

describe("a VM that does not boot", () => {
  test("the image is damaged, cut off or missing", async () => {
    const garbage = join(root, "garbage.img");
    await writeFile(garbage, Buffer.alloc(1_000_000, "x"));
    const cut = join(root, "cut.img");
    await promisify(execFile)("cp", [imagePath, cut]);
    await truncate(cut, 2_000_000);
    for (const path of [garbage, cut, join(root, "missing.img")]) {
      const begun = Date.now();
      const outcome = await provider.run(await newTask("", { imagePath: path }), {});
      expect(outcome).toEqual({ kind: "bootFailed", reason: expect.stringContaining(path) });
      expect(Date.now() - begun).toBeLessThan(15_000);
    }
  });

  test("QEMU refuses the kernel, the kernel panics, or nothing happens at all", async () => {
    const kernel = join(root, "kernel");
    await writeFile(kernel, Buffer.alloc(100_000, "not a kernel"));
    const boot = await prepareBoot({ imagePath, cacheDir });
    const outcomeOf = async (changes: Partial<typeof boot>, bootLimitMs: number): Promise<VmOutcome> => {
      const prepare = async () => ({ ...boot, ...changes });
      await using broken = await createQemuProvider(
        { log, prepareBoot: prepare },
        { qemuPath, cacheDir, bootLimitMs },
      );
      return (await run(await newTask(""), { using: broken })).outcome;
    };
    const [refused, panicked, silent] = await Promise.all([
      outcomeOf({ vmlinuxPath: kernel }, 120_000),
      outcomeOf({ cmdline: boot.cmdline.replace(/gv\.root=\S+/, "rdinit=/none") }, 120_000),
      outcomeOf({ cmdline: `${boot.cmdline} rdinit=/bin/sh` }, 4_000),
    ]);
    expect(refused).toMatchObject({
      kind: "bootFailed",
      reason: expect.stringMatching(/QEMU wrote: ".*kernel/),
    });
    expect(panicked).toMatchObject({
      kind: "bootFailed",
      reason: expect.stringContaining("kernel panicked: "),
    });
    expect(silent).toMatchObject({
      kind: "bootFailed",
      reason: expect.stringContaining("did not speak within 4 s"),
    });
  });
});

/** A node's stand-in: runs a task until it is killed. */
const CHILD = `
  const [providerModule, ...rest] = process.argv.slice(1);
  const [options, task] = rest.map((text) => JSON.parse(text));
  const { createVmProvider } = await import(providerModule);
  const log = { info() {}, warn() {} };
  const provider = await createVmProvider({ log }, options);
  const outcome = await provider.run(task, {
    onEvent: (event) => process.stdout.write(JSON.stringify(event) + "\\n"),
  });
  process.stdout.write(JSON.stringify({ stage: "ended", outcome }) + "\\n");
`;
const BUILT = fileURLToPath(new URL("../../devnet/dist/vm/createVmProvider.js", import.meta.url));

test.each(["qemu", "process"] as const)(
  "a node killed by SIGKILL leaves nothing running: %s",
  async (kind) => {
    const task = await newTask(ENDLESS);
    const image = join(root, `endless-${kind}.mjs`);
    await writeFile(image, "setInterval(() => {}, 1000);\n");
    const program = kind === "process" ? await endlessImage() : imagePath;
    const options = { provider: kind, qemuPath, cacheDir };
    const args = [BUILT, JSON.stringify(options), JSON.stringify({ ...task, imagePath: program })];
    const node = spawn(process.execPath, ["--input-type=module", "-e", CHILD, ...args], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    node.stdout.on("data", (chunk: Buffer) => {
      text += chunk.toString();
    });
    const deadline = Date.now() + 60_000;
    while (!text.includes('"program"') && node.exitCode === null && Date.now() < deadline) await delay(50);
    const pid = Number(/"pid":(\d+)/.exec(text)?.[1]);
    expect(startOf(pid), text).not.toBeNull();
    node.kill("SIGKILL");
    await once(node, "exit");
    await expect.poll(() => startOf(pid)).toBeNull();
    expect(await reapLeftovers({ log }, { dataDirectory: root })).toEqual([]);
  },
);

async function endlessImage(): Promise<string> {
  const outputPath = join(root, "endless.img");
  await buildImage({ program: "/bin/busybox", args: ["sleep", "1000"], outputPath });
  return outputPath;
}
