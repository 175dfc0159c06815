import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findQemu, qemuInstallCommand } from "./findQemu.ts";
import { createLauncher } from "./launcher.ts";
import { probeAccelerator, trialReason } from "./probeAccelerator.ts";

const qemuPath = "qemu-system-x86_64";
let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-probe-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A QEMU that says its version and then does something else. */
async function fakeQemu(name: string, version: string, body: string): Promise<string> {
  const path = join(dir, name);
  await writeFile(
    path,
    `#!/bin/sh\n[ "$1" = --version ] && echo "${version}" && exit\n[ "$1" = --help ] && exit\n${body}\n`,
  );
  await chmod(dir, 0o755);
  await chmod(path, 0o755);
  return path;
}

test("tells KVM, or why not", async () => {
  const accelerator = await probeAccelerator({ qemuPath });
  expect(accelerator.qemuVersion).toMatch(/^\d+\.\d+/);
  if (accelerator.name === "kvm") expect(accelerator.reason).toBeNull();
  else expect(accelerator.reason).toMatch(/\w{3}/);
});

test("a VM without KVM shows a sign of life within its time, whoever it runs as", async () => {
  const qemu = await findQemu({ qemuPath });
  const launcher = await createLauncher();
  for (const runAs of new Set([launcher.unprivileged, null]))
    expect(await trialReason(qemu, launcher, runAs, "tcg", { qemuPath, timeoutMs: 50_000 })).toBeNull();
});

test("a QEMU that starts and does nothing is found out", async () => {
  const path = await fakeQemu("hangs", "QEMU emulator version 8.2.1", "exec sleep 60");
  await expect(probeAccelerator({ qemuPath: path, timeoutMs: 100 })).rejects.toMatchObject({
    code: "QEMU_UNUSABLE",
    message: expect.stringContaining("no sign of life within 0.1 s"),
  });
});

test("what QEMU says of its end is quoted", async () => {
  const path = await fakeQemu("fails", "QEMU emulator version 8.2.1", `echo "$0: no BIOS here" >&2; exit 1`);
  await expect(probeAccelerator({ qemuPath: path })).rejects.toThrow("no BIOS here");
});

test("a check of QEMU's own that fails is explained", async () => {
  const said = "qemu: ../target/i386/kvm/kvm.c:3183: kvm_buf_set_msrs: Assertion 'ret == nmsrs' failed.";
  const path = await fakeQemu("aborts", "QEMU emulator version 8.2.1", `echo "${said}" >&2; kill -ABRT $$`);
  await expect(probeAccelerator({ qemuPath: path })).rejects.toThrow(
    "this machine's KVM does not do what QEMU asks of it (kvm_buf_set_msrs)",
  );
});

test("the caller may give up", async () => {
  const path = await fakeQemu("waits", "QEMU emulator version 8.2.1", "exec sleep 60");
  const signal = AbortSignal.timeout(300);
  await expect(probeAccelerator({ qemuPath: path, timeoutMs: 20_000, signal })).rejects.toMatchObject({
    name: "TimeoutError",
  });
});

test.each(["qemu-that-is-not-there", "/nonexistent/qemu"])("no QEMU: %s", async (missing) => {
  await expect(findQemu({ qemuPath: missing })).rejects.toMatchObject({
    code: "QEMU_NOT_FOUND",
    message: expect.stringMatching(/Install it: .*qemu/),
    context: { qemuPath: missing },
  });
});

test.each([
  ["QEMU emulator version 5.2.0 (Debian)", "version 5.2.0; 6.0 or newer"],
  ["something else 1.0", "is it QEMU"],
])("not usable: %s", async (version, message) => {
  const path = await fakeQemu("old", version, "");
  await expect(findQemu({ qemuPath: path })).rejects.toMatchObject({
    code: "QEMU_UNUSABLE",
    message: expect.stringContaining(message),
  });
});

test.each<[NodeJS.Platform, string, string]>([
  ["linux", 'PRETTY_NAME="Debian"\nID=debian\n', "sudo apt-get install qemu-system-x86"],
  ["linux", 'ID=linuxmint\nID_LIKE="ubuntu debian"\n', "sudo apt-get install qemu-system-x86"],
  ["linux", "ID=fedora\n", "sudo dnf install qemu-system-x86-core"],
  ["linux", 'ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', "sudo zypper install qemu-x86"],
  ["linux", "ID=arch\n", "sudo pacman -S qemu-system-x86"],
  ["linux", "ID=alpine\n", "sudo apk add qemu-system-x86_64"],
  ["linux", "ID=unknown\n", "your system's package of qemu-system-x86_64"],
  ["linux", "", "your system's package of qemu-system-x86_64"],
  ["darwin", "", "brew install qemu"],
  ["win32", "", "wsl --install, and then this program inside WSL2"],
])("on %s, %j: %s", (platform, osRelease, command) => {
  expect(qemuInstallCommand(platform, osRelease)).toBe(command);
});
