import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  checkDisk,
  checkGuestKernel,
  checkImageTools,
  checkMemory,
  checkNode,
  checkPorts,
} from "./checkMachine.ts";
import { kvmProblem, readKvmFacts } from "./checkVms.ts";
import { MACHINE } from "./finding.ts";

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "doctor-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test.each([
  ["20.19.0", "ok"],
  ["20.18.9", "fail"],
  ["18.20.4", "fail"],
  ["22.0.0", "ok"],
])("Node.js %s: %s", (version, state) => {
  expect(checkNode(version).state).toBe(state);
});

test.each([
  [8 * 2 ** 20, "ok", /8.0 GiB are free/],
  [2 * 2 ** 20, "warn", /tasks wait/],
  [100_000, "fail", /0.1 GiB.* 512 MiB/],
])("memory of %d KiB: %s", async (kib, state, text) => {
  const proc = join(dir, `proc-${kib}`);
  await mkdir(proc);
  await writeFile(join(proc, "meminfo"), `MemTotal:       9999999 kB\nMemAvailable:   ${kib} kB\n`);
  const found = await checkMemory({ ...MACHINE, proc });
  expect([found.state, found.text]).toEqual([state, expect.stringMatching(text)]);
});

test("the disk is that of the nearest folder that is there", async () => {
  expect((await checkDisk("it", join(dir, "not/yet/there"))).text).toContain(`(${dir})`);
});

test("a folder that may not be written to is no place for a devnet", async (context) => {
  if (process.getuid?.() === 0) context.skip("root may write everywhere");
  expect(await checkDisk("it", "/proc/devnet")).toMatchObject({
    state: "fail",
    text: expect.stringContaining("may not be written"),
  });
});

test("a port that is taken is named, with who has it", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const ports = { rpc: port, http: 1, p2p: port };
  try {
    const found = await checkPorts({ ...ports, http: port });
    expect(found.state).toBe("warn");
    expect(found.text).toContain(`${port} (files) by process ${process.pid}`);
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
  expect(await checkPorts({ rpc: port, http: port, p2p: port })).toMatchObject({ state: "ok", mend: null });
});

test("tools that are missing are named by Debian's packages, each once", async () => {
  const bin = join(dir, "bin");
  await mkdir(bin);
  for (const name of ["xz", "zstd", "busybox", "mcopy"]) {
    await writeFile(join(bin, name), "");
    await chmod(join(bin, name), 0o755);
  }
  const found = await checkImageTools(bin);
  expect(found).toMatchObject({ state: "warn", mend: "sudo apt-get install squashfs-tools syslinux" });
});

test("the guest's kernel is one that was fetched", async () => {
  expect((await checkGuestKernel(dir)).state).toBe("warn");
  await mkdir(join(dir, "kernel/linux-image-6.1.0-41-amd64"), { recursive: true });
  expect((await checkGuestKernel(dir)).text).toBe("Linux 6.1.0-41-amd64");
});

const facts = { hasDevice: true, extension: "vmx", user: "me" } as const;
test.each<[string, string, Parameters<typeof kvmProblem>[1], RegExp]>([
  [
    "no right to use it",
    "a trial VM failed: Could not access KVM kernel module: Permission denied",
    facts,
    /usermod -aG kvm me/,
  ],
  ["it fails", "a trial VM showed no sign of life", facts, /dmesg/],
  [
    "Intel's module is not loaded",
    "no such file",
    { ...facts, hasDevice: false },
    /^sudo modprobe kvm_intel$/,
  ],
  [
    "AMD's module is not loaded",
    "no such file",
    { ...facts, hasDevice: false, extension: "svm" },
    /^sudo modprobe kvm_amd$/,
  ],
  [
    "the machine has none",
    "no such file",
    { ...facts, hasDevice: false, extension: null },
    /firmware.*nested/,
  ],
])("KVM: %s", (_, reason, known, mend) => {
  const found = kvmProblem(reason, known);
  expect(found).toMatchObject({ state: "warn", text: expect.stringContaining(reason) });
  expect(found.mend).toMatch(mend);
});

test("what is known of KVM comes from /proc and /dev", async () => {
  const proc = join(dir, "proc-cpu");
  await mkdir(proc);
  await writeFile(join(proc, "cpuinfo"), "processor\t: 0\nflags\t\t: fpu vme svm sse\n");
  expect(await readKvmFacts({ proc, dev: dir })).toMatchObject({ hasDevice: false, extension: "svm" });
});
