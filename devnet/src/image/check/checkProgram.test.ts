import { execFileSync } from "node:child_process";
import { copyFile, mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, type TestContext, test } from "vitest";
import { buildImage } from "../buildImage.ts";
import { copyFromImage } from "../copyFromImage.ts";
import { checkProgram } from "./checkProgram.ts";
import { findMissing, type MissingOptions } from "./missingFiles.ts";
import { createStraceReader, type OpenedFile } from "./straceLines.ts";

describe("strace's lines", () => {
  const read = (...lines: string[]) => lines.map(createStraceReader("/data")).filter((file) => file !== null);
  test.each<[string, string[], Partial<OpenedFile>[]]>([
    [
      "a relative name, through a link",
      ['7 openat(AT_FDCWD</app>, "lib/x.so.1", O_RDONLY|O_CLOEXEC) = 3</app/lib/x.so.1.2>'],
      [{ path: "/app/lib/x.so.1", realPath: "/app/lib/x.so.1.2", use: "read" }],
    ],
    [
      "a name below an open folder, with odd bytes",
      [String.raw`7 openat(5</a b>, "q\"\303\274\n", O_RDONLY) = 6</a b/q"\303\274\n>`],
      [{ path: '/a b/q"ü\n' }],
    ],
    [
      "an old open, written",
      ['7 open("x", O_WRONLY|O_CREAT, 0666) = 3</data/x>'],
      [{ path: "/data/x", use: "written" }],
    ],
    [
      "a program",
      ['8 execve("/bin/true", ["true"], 0x7f /* 3 vars */) = 0'],
      [{ path: "/bin/true", use: "started" }],
    ],
    [
      "written in place, which must be there",
      ['7 openat(AT_FDCWD</data>, "x", O_RDWR) = 3</data/x>', '7 open("y", O_WRONLY|O_APPEND) = 3</data/y>'],
      [
        { path: "/data/x", use: "read" },
        { path: "/data/y", use: "read" },
      ],
    ],
    [
      "as strace before 5.15 writes it, without the working folder",
      ['7 openat(AT_FDCWD, "x", O_RDONLY) = 3</data/x>', '7 openat(5, "y", O_RDONLY) = 3</app/y>'],
      [{ path: "/data/x" }, { path: "/app/y" }],
    ],
    ["what failed", ['7 openat(AT_FDCWD</>, "x", O_RDONLY) = -1 ENOENT (No such file or directory)'], []],
    ["a folder", ['7 openat(AT_FDCWD</>, "etc", O_RDONLY|O_DIRECTORY) = 3</etc>'], []],
    ["other things", ["7 +++ exited with 0 +++", "", "nonsense"], []],
  ])("%s", (_, lines, wanted) => {
    expect(read(...lines)).toEqual(wanted.map((one) => expect.objectContaining(one)));
  });

  test("a call that was cut in two, between others", () => {
    const reader = createStraceReader("/");
    const lines = [
      '1 openat(AT_FDCWD</>, "a", O_RDONLY <unfinished ...>',
      '2 openat(AT_FDCWD</>, "b", O_RDONLY) = 3</b>',
      "1 <... openat resumed>) = 4</a>",
    ];
    expect(lines.map((line) => reader(line)?.path)).toEqual([undefined, "/b", "/a"]);
  });
});

describe("findMissing", () => {
  const opened = (...paths: string[]): OpenedFile[] =>
    paths.map((path) => ({ path, realPath: path, use: "read" }));
  const find = (files: OpenedFile[], known: string[] = [], more: Partial<MissingOptions> = {}) =>
    findMissing({
      opened: files,
      isInImage: (path) => known.includes(path),
      workingDir: "/app",
      workspaceDir: "/tmp/ws",
      lackingFolder: () => null,
      libraryPath: undefined,
      ownFiles: [],
      isHere: () => false,
      ...more,
    });

  test("offers folders for many files, files for few, and a root for what is elsewhere", () => {
    const many = ["a", "b", "c", "d", "e"].map((name) => `/app/params/${name}`);
    const found = find(opened("/app/x.toml", ...many, "/usr/lib/libz.so.1", "/app/known"), ["/app/known"]);
    expect(found.libraries).toEqual(["/usr/lib/libz.so.1"]);
    expect(found.manifest).toEqual({
      TargetRoot: "/",
      Files: ["usr/lib/libz.so.1", "x.toml"],
      Dirs: ["params"],
    });
  });

  test("offers no root that would come before files of the working folder", () => {
    const files = opened("/app/etc/motd", "/etc/services");
    const note =
      /this machine's \/etc\/motd.*cd '\/app' && cp -L --parents -- '\/etc\/services' '\/opt\/a b;c' \./;
    const wanted = { Files: ["etc/motd", "etc/services"] };
    const isHere = (path: string) => path === "/etc/motd";
    expect(find([...files, ...opened("/opt/a b;c")], [], { isHere })).toMatchObject({
      notes: [expect.stringMatching(note)],
    });
    expect(find(files, [], { isHere }).manifest).toEqual(wanted);
    const has = { isHere, ownFiles: ["/etc/motd"] };
    expect(find(files, ["/app/etc/motd"], has).manifest).toEqual({ Files: ["etc/services"] });
    expect(find(files, [], { isHere: () => false }).manifest).toEqual({ TargetRoot: "/", ...wanted });
  });

  test("offers the folder of a library that the image's loader would not find", () => {
    const more = { lackingFolder: () => "/opt/cuda", libraryPath: "/l" };
    const Env = { LD_LIBRARY_PATH: "/l:/opt/cuda" };
    const files = opened("/opt/cuda/liba.so", "/opt/cuda/libb.so.1");
    expect(find(files, ["/opt/cuda/liba.so"], more)).toMatchObject({
      libraries: ["/opt/cuda/liba.so", "/opt/cuda/libb.so.1"],
      manifest: { TargetRoot: "/", Files: ["opt/cuda/libb.so.1"], Env },
    });
    expect(find(files.slice(0, 1), ["/opt/cuda/liba.so"], more).manifest).toEqual({ Env });
  });

  test("passes over what every system has for itself, the workspace, and /tmp", () => {
    const paths = [
      "/proc/meminfo",
      "/dev/urandom",
      "/tmp/x",
      "/tmp/ws/in",
      "/etc/ld.so.cache",
      "/usr/lib/locale/C.utf8/LC_CTYPE",
    ];
    expect(find(opened(...paths))).toMatchObject({ data: [], manifest: null });
  });

  test("explains the look-up of names", () => {
    const found = find(opened("/etc/nsswitch.conf", "/lib/x86_64-linux-gnu/libnss_dns.so.2"));
    expect(found).toMatchObject({
      libraries: [],
      manifest: null,
      notes: [expect.stringMatching(/NSS.*no network/)],
    });
  });
});

/** As a container's seccomp filter does: ptrace fails with EPERM. */
const DENY_PTRACE = `
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int count, char **args) {
  struct sock_filter filter[] = {
    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = { 4, filter };
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
  execv(args[1], args + 1);
  return 1;
}`;

describe("a program under observation", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), "gevulot-check-test-")));
    await mkdir(join(folder, "data"));
    await writeFile(join(folder, "data", "params.bin"), "");
    await copyFile("/bin/busybox", join(folder, "busybox"));
    await writeFile(
      join(folder, "prover.c"),
      '#include <dlfcn.h>\n#include <stdio.h>\nint main(int n, char **args) { dlopen("libm.so.6", RTLD_NOW); return fopen(args[n - 1], "r") == 0; }\n',
    );
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  function needs(context: TestContext, ...tools: string[]): void {
    for (const tool of tools) {
      try {
        execFileSync(tool, ["--version"], { stdio: "pipe" });
      } catch {
        context.skip(`${tool} is not installed`);
      }
    }
  }
  const compile = () => {
    execFileSync("gcc", ["-o", "prover", "prover.c", "-ldl"], { cwd: folder, stdio: "pipe" });
    return join(folder, "prover");
  };
  const check = (program: string, runArgs: string[], more: object = {}) =>
    checkProgram({ program, runArgs, workingDir: folder, timeoutMs: 50_000, ...more });

  test("what it loads and reads at run time", async (context) => {
    needs(context, "strace", "gcc");
    const found = await check(compile(), ["data/params.bin"]);
    expect(found).toMatchObject({ by: "strace", exitCode: 0, data: [join(folder, "data", "params.bin")] });
    expect(found.libraries).toEqual([expect.stringMatching(/libm\.so\.6$/)]);
    const manifest = found.manifest as object;
    expect(await check(compile(), ["data/params.bin"], { manifest })).toMatchObject({ manifest: null });
  });

  test("with what it offers, a library of its own is found in the image", async (context) => {
    needs(context, "strace", "gcc");
    await mkdir(join(folder, "l"), { recursive: true });
    await writeFile(join(folder, "plug.c"), "int plug(void) { return 0; }\n");
    await writeFile(
      join(folder, "host.c"),
      '#include <dlfcn.h>\nint main(void) { return dlopen("libplug.so", RTLD_NOW) == 0 ? 3 : 0; }\n',
    );
    const gcc = (...args: string[]) => execFileSync("gcc", args, { cwd: folder, stdio: "pipe" });
    gcc("-shared", "-o", "l/libplug.so", "plug.c");
    gcc("-o", "host", "host.c", "-ldl");
    const program = join(folder, "host");
    const libraryPath = join(folder, "l");
    const { manifest, exitCode } = await check(program, [], { libraryPath });
    expect({ manifest, exitCode }).toEqual({
      manifest: { Files: ["l/libplug.so"], Env: { LD_LIBRARY_PATH: "/l" } },
      exitCode: 0,
    });
    const { Files, Env } = manifest as { Files: string[]; Env: object };
    // The file alone is not found.
    expect((await check(program, [], { libraryPath, manifest: { Files } })).manifest).toEqual({ Env });
    expect((await check(program, [], { manifest: { Files, Env } })).manifest).toBeNull();

    const image = join(folder, "host.img");
    await buildImage({ program, workingDir: folder, manifest: { Files, Env }, outputPath: image });
    expect(await check(image, [])).toMatchObject({ manifest: null, exitCode: 0, notes: [] });
    if (process.getuid?.() !== 0) return;
    const target = join(folder, "unpacked");
    await copyFromImage({ imagePath: image, paths: ["/"], target, deep: true, followLinks: false });
    execFileSync("chroot", [target, "/host"], { env: { PATH: process.env.PATH, ...Env } });
  });

  test("in its first working folder, and what fails is not called complete", async (context) => {
    needs(context, "strace", "gcc");
    await mkdir(join(folder, "sub"), { recursive: true });
    await writeFile(join(folder, "sub", "z.txt"), "");
    const manifest = { ManifestPassthrough: { cwd: "/sub" }, Args: ["{args}", "z.txt"], Exec: true };
    const found = await checkProgram({ program: compile(), manifest, workingDir: folder, timeoutMs: 50_000 });
    expect(found).toMatchObject({ exitCode: 0, data: [join(folder, "sub", "z.txt")], notes: [] });
    expect(await check(compile(), ["absent"])).toMatchObject({
      exitCode: 1,
      notes: [expect.stringMatching(/did not end well/)],
    });
  });

  test("without strace, the loader tells of libraries", async (context) => {
    needs(context, "gcc");
    const found = await check(compile(), ["data/params.bin"], { by: "loader" });
    expect(found).toMatchObject({
      by: "loader",
      data: [],
      libraries: [expect.stringMatching(/libm\.so\.6$/)],
    });
    await expect(check(join(folder, "busybox"), [], { by: "loader" })).rejects.toMatchObject({
      code: "OBSERVE_FAILED",
      message: expect.stringMatching(/apt-get install strace/),
    });
  });

  test("where the system forbids to trace, nothing is called complete", async (context) => {
    needs(context, "strace", "gcc");
    await writeFile(join(folder, "deny.c"), DENY_PTRACE);
    execFileSync("gcc", ["-o", "deny", "deny.c"], { cwd: folder, stdio: "pipe" });
    const path = execFileSync("sh", ["-c", "command -v strace"]).toString().trim();
    const bin = join(folder, "bin");
    await mkdir(bin);
    await writeFile(join(bin, "strace"), `#!/bin/sh\nexec ${join(folder, "deny")} ${path} "$@"\n`, {
      mode: 0o755,
    });
    const env = { PATH: `${bin}:${process.env.PATH}` };
    await expect(check(join(folder, "busybox"), ["true"], { env })).rejects.toMatchObject({
      code: "OBSERVE_FAILED",
      message: expect.stringMatching(/strace may not trace here.*SYS_PTRACE/),
    });
    const found = await check(compile(), ["data/params.bin"], { env });
    expect(found).toMatchObject({ by: "loader", libraries: [expect.stringMatching(/libm\.so\.6$/)] });
  });

  test("one that does not end is stopped, and what it opened is known", async (context) => {
    needs(context, "strace");
    const args = ["sh", "-c", "read x <data/params.bin; sleep 100"];
    const found = await check(join(folder, "busybox"), args, { timeoutMs: 4_000 });
    expect(found).toMatchObject({ timedOut: true, data: [join(folder, "data", "params.bin")] });
  });
});
