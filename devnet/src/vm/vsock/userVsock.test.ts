import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, lstat, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pino } from "pino";
import { expect, type TestContext, test } from "vitest";
import { findExecutable } from "../findExecutable.ts";
import { createLauncher } from "../launcher.ts";
import { createVsockHost } from "./createVsockHost.ts";
import { installedProgram, VHOST_PROGRAM } from "./installedProgram.ts";
import { nextCid } from "./kernelVsock.ts";
import { createTaskExchange } from "./taskExchange.ts";
import { createTaskServer } from "./taskServer.ts";
import { createUserVsock } from "./userVsock.ts";
import { vsockArgs } from "./vsockArgs.ts";

const log = pino({ level: "silent" });
const server = createTaskServer(createTaskExchange({ txHash: "", name: "", args: [], files: [] }));

async function needProgram(context: TestContext): Promise<string> {
  const path = (await findExecutable(VHOST_PROGRAM)) ?? (await findExecutable(installedProgram().program));
  return path ?? context.skip(`${VHOST_PROGRAM} is not installed (npm run setup, with cargo)`);
}

const folders = async () =>
  (await readdir(tmpdir())).filter((name) => name.startsWith(`gv-vsock-${process.pid}-`)).sort();
const isThere = (path: string) =>
  lstat(path).then(
    () => true,
    () => false,
  );

/** The processes that hold a folder as their own. */
async function processesIn(folder: string): Promise<number[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const found = await Promise.all(
    pids.map(async (pid) => {
      const command = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
      return command.includes(`${folder}/`) ? [Number(pid)] : [];
    }),
  );
  return found.flat();
}

test("each VM has a process and sockets of its own, which end with it", async (context) => {
  const binary = await needProgram(context);
  const launcher = await createLauncher();
  const before = await folders();
  const host = await createUserVsock({ binary, launcher, runAs: launcher.unprivileged });
  const [one, two] = await Promise.all([host.open({ server, mark: "a" }), host.open({ server, mark: "b" })]);
  const places = [one, two].map(({ device }) =>
    dirname(device.kind === "vhost-user" ? device.socketPath : ""),
  );
  expect(new Set(places).size).toBe(2);
  for (const place of places) {
    expect(await processesIn(place)).toHaveLength(1);
    expect(await isThere(join(place, "vm_8080"))).toBe(true);
    // Nobody but the machine's own user looks in.
    expect((await lstat(place)).mode & 0o777).toBe(0o700);
  }
  await one[Symbol.asyncDispose]();
  expect(await processesIn(places[0] as string)).toEqual([]);
  expect([await isThere(places[0] as string), await isThere(places[1] as string)]).toEqual([false, true]);
  await two[Symbol.asyncDispose]();
  await host[Symbol.asyncDispose]();
  expect(await folders()).toEqual(before);
});

/** A node's stand-in: opens a device and is killed. */
const CHILD = `
const [module, binary, launcherModule] = process.argv.slice(1);
const { createUserVsock } = await import(module);
const { createLauncher } = await import(launcherModule);
const launcher = await createLauncher();
const host = await createUserVsock({ binary, launcher, runAs: launcher.unprivileged });
const { device } = await host.open({ server: { accept() {} }, mark: "gevulot-x@1.1@/none" });
console.log(device.socketPath);
setInterval(() => {}, 1000);
`;

test("a node that is killed leaves no process, and the next one no folder", async (context) => {
  const binary = await needProgram(context);
  const modules = ["./userVsock.ts", "../launcher.ts"].map((path) => new URL(path, import.meta.url).href);
  const args = ["--import", "tsx", "--input-type=module", "-e", CHILD, modules[0], binary, modules[1]];
  const node = spawn(process.execPath, args as string[], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TSX_DISABLE_CACHE: "1" },
  });
  const [text] = (await once(node.stdout, "data")) as [Buffer];
  const folder = dirname(text.toString().trim());
  expect(await processesIn(folder)).toHaveLength(1);
  node.kill("SIGKILL");
  await once(node, "exit");
  await expect.poll(() => processesIn(folder)).toEqual([]);
  expect(await isThere(folder)).toBe(true);
  const launcher = await createLauncher();
  const host = await createUserVsock({ binary, launcher, runAs: launcher.unprivileged });
  expect(await isThere(dirname(folder))).toBe(false);
  await host[Symbol.asyncDispose]();
});

test.each([
  ["a program that isn't there", "/none/vhost-device-vsock", /no program \/none/],
  ["one that ends at once", "/bin/false", /ended at once/],
])("files are the way with %s", async (_, vhostDevicePath, reason) => {
  const launcher = await createLauncher();
  const before = await folders();
  const deps = { log, launcher, runAs: launcher.unprivileged };
  await using host = await createVsockHost(deps, { vhostDevicePath });
  expect([host.kind, host.detail]).toEqual(["none", expect.stringMatching(reason)]);
  await expect(host.open({ server, mark: "" })).rejects.toThrow(/there is no VSOCK/);
  await delay(10);
  expect(await folders()).toEqual(before);
});

test("a process that doesn't come up is ended with its task", async () => {
  const dir = await mkdtemp(join(tmpdir(), "gevulot-silent-"));
  try {
    // The node's trial gets its socket, a task's VM none.
    const [binary, first, second] = ["silent", "first", "second"].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    const begin = `if [ -e ${first} ]; then : >${second}; else : >${first}; : >"$4"; fi`;
    await writeFile(binary, `#!/bin/sh\n${begin}\nexec /bin/sleep 600\n`);
    await chmod(binary, 0o755);
    const launcher = await createLauncher();
    await using host = await createUserVsock({ binary, launcher, runAs: null });
    const [folder] = (await folders()).slice(-1) as [string];
    const abort = new AbortController();
    const opening = host.open({ server, mark: "", signal: abort.signal });
    opening.catch(() => {});
    await expect.poll(() => isThere(second), { timeout: 10_000 }).toBe(true);
    abort.abort();
    await expect(opening).rejects.toThrow(/abort/);
    expect(await readdir(join(tmpdir(), folder))).toEqual([]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

test("a number for a VM: from 4 up, neither ours nor another's", () => {
  const asked: number[] = [];
  const others = new Set([5, 7]);
  const claim = (cid: number) => {
    asked.push(cid);
    return !others.has(cid);
  };
  expect(nextCid(claim, new Map())).toBe(4);
  expect(
    nextCid(
      claim,
      new Map([
        [4, 0],
        [6, 0],
      ]),
    ),
  ).toBe(8);
  expect(asked).toEqual([4, 5, 7, 8]);
  expect(() => nextCid(() => false, new Map())).toThrow(/in use/);
});

test("QEMU's arguments", () => {
  expect(vsockArgs({ kind: "vhost", cid: 7, fd: 30 }, 512, 10)).toEqual([
    "-device",
    "vhost-vsock-pci,guest-cid=7,vhostfd=10",
  ]);
  expect(vsockArgs({ kind: "vhost-user", socketPath: "/a,b/vhost" }, 512, 10).join(" ")).toBe(
    "-object memory-backend-memfd,id=shared,size=512M,share=on -machine memory-backend=shared " +
      "-chardev socket,id=vsock,path=/a,,b/vhost -device vhost-user-vsock-pci,chardev=vsock",
  );
});
