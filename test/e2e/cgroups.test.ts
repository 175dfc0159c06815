import { copyFile, mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { expect, test } from "vitest";
import { buildImage } from "../../devnet/src/image/buildImage.ts";
import { createVmProvider } from "../../devnet/src/vm/createVmProvider.ts";
import { root } from "../tidy/sources.ts";

/** As root of a machine of its own: few machines that run tests let one make control groups. */
const PROGRAM = `
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createCgroups, findCgroup } from ${JSON.stringify(join(root, "devnet/src/vm/cgroups.ts"))};

const busybox = "/busybox";
const none = await createCgroups(await findCgroup());
const { status } = spawnSync(busybox, ["mount", "-t", "cgroup2", "none", "/sys/fs/cgroup"]);
const place = await findCgroup();
const cgroups = await createCgroups(place);
const report = { none, status, place, made: typeof cgroups };
if (typeof cgroups === "object") {
  const child = spawn(busybox, ["sh", "-c", "read x; x=0123456789; while :; do x=$x$x; done"], { stdio: ["pipe", "ignore", "ignore"] });
  const gone = spawnSync(busybox, ["true"]).pid;
  const group = await cgroups.open("a task/1", [gone, child.pid, gone], { memoryBytes: 24 * 2 ** 20, cpus: 0.5 });
  const home = place.mount + "/gevulot-" + process.pid;
  report.home = existsSync(home);
  report.groups = readdirSync(home).filter((name) => name.startsWith("a"));
  report.cpu = readFileSync(home + "/a_task_1/cpu.max", "utf8").trim();
  report.procs = readFileSync(home + "/a_task_1/cgroup.procs", "utf8").trim() === String(child.pid);
  child.stdin.end("go\\n");
  report.end = (await once(child, "exit"))[1];
  report.killed = /oom_kill [1-9]/.test(readFileSync(home + "/a_task_1/memory.events", "utf8"));
  await group[Symbol.asyncDispose]();
  await cgroups[Symbol.asyncDispose]();
  report.left = existsSync(home);
  // As a service of systemd with Delegate=yes, and then as one among others.
  mkdirSync("/sys/fs/cgroup/service");
  writeFileSync("/sys/fs/cgroup/service/cgroup.procs", String(process.pid));
  const alone = await createCgroups(await findCgroup());
  const below = "/sys/fs/cgroup/service/gevulot-" + process.pid;
  report.alone = [typeof alone, existsSync(below), existsSync(home), (await findCgroup()).own.replace(/[0-9]+-[0-9a-f]+$/, "PID")];
  await alone[Symbol.asyncDispose]?.();
  report.after = [existsSync(below), (await findCgroup()).own, readdirSync("/sys/fs/cgroup/service").filter((name) => name.startsWith("gev"))];
  const other = spawn(busybox, ["sleep", "1000"]);
  const beside = await createCgroups(await findCgroup());
  report.beside = [typeof beside, existsSync(below), existsSync(home), (await findCgroup()).own];
  other.kill();
}
writeFileSync("/workspace/report.json", JSON.stringify(report));
`;

test("a process in a group of ours can't take more than it may, and the group goes with it", async () => {
  const dir = await realpath(await mkdtemp(join(tmpdir(), "gevulot-e2e-cgroups-")));
  try {
    const program = join(dir, "groups.ts");
    await writeFile(program, PROGRAM);
    const imagePath = join(dir, "groups.img");
    await copyFile("/bin/busybox", join(dir, "busybox"));
    const manifest = { Files: ["busybox"] };
    await buildImage({ program, manifest, workingDir: dir, outputPath: imagePath });
    const options = {
      provider: "auto",
      qemuPath: "qemu-system-x86_64",
      cacheDir: join(dir, "cache"),
    } as const;
    await using provider = await createVmProvider({ log: pino({ level: "silent" }) }, options);
    const workspaceDir = join(dir, "workspace");
    await mkdir(workspaceDir);
    const task = { attemptId: "groups", imagePath, imageChecksum: "", workspaceDir, memMib: 384, cpus: 1 };
    const consolePath = join(dir, "console");
    const limits = { gpuDevices: [], consolePath, consoleLimitBytes: 65_536, deadlineMs: 120_000 };
    const outcome = await provider.run({ ...task, ...limits }, {});
    expect(outcome, await readFile(consolePath, "utf8")).toEqual({ kind: "exited", exitCode: 0 });
    expect(JSON.parse(await readFile(join(workspaceDir, "report.json"), "utf8"))).toEqual({
      none: "the system has no control groups of version 2",
      status: 0,
      place: { mount: "/sys/fs/cgroup", own: "/" },
      made: "object",
      home: true,
      groups: ["a_task_1"],
      cpu: "50000 100000",
      procs: true,
      end: "SIGKILL",
      killed: true,
      left: false,
      alone: ["object", true, false, "/service/gevulot-node-PID"],
      after: [false, "/service", []],
      beside: ["object", false, true, "/service"],
    });
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
