import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { isGevulotError } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readImageResources } from "../../../../sdk/src/node/imageResources.ts";
import { makeFakeNanos, tinyProgram } from "../../../../test/fixtures/fakeNanos.ts";
import samples from "../../../../test/vectors/nanos/samples.json" with { type: "json" };
import { copyFromImage } from "../copyFromImage.ts";
import { extractProgram } from "../extractProgram.ts";
import { checkGpuImage } from "../gpu/checkGpu.ts";
import { readImageDefaults } from "../imageDefaults.ts";
import { openImageFiles } from "../imageFiles.ts";
import { verifyImage } from "../verifyImage.ts";
import { type BuildNanosImageOptions, buildNanosImage } from "./buildNanosImage.ts";
import { readNanosBoot } from "./nanosBoot.ts";
import { nodeMountProblem, readNanosInfo } from "./nanosInfo.ts";
import { openNanos } from "./openNanos.ts";

let root: string;
let opsHome: string;
let sample: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-nanos-"));
  opsHome = join(root, "ops");
  await makeFakeNanos(opsHome, "hang");
  await tinyProgram(join(root, "tiny"));
  sample = join(root, "sample.tfs");
  const vector = new URL("../../../../test/vectors/nanos/root.tfs.gz", import.meta.url);
  await writeFile(sample, gunzipSync(await readFile(vector)));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const build = (changes: Partial<BuildNanosImageOptions> = {}) =>
  buildNanosImage({
    program: join(root, "tiny"),
    workingDir: root,
    outputPath: join(root, "tiny.img"),
    kernelFiles: { opsHome },
    ...changes,
  });

async function contentsOf(path: string): Promise<Record<string, string>> {
  const out = await mkdtemp(join(root, "out-"));
  await copyFromImage({
    imagePath: path,
    paths: ["/"],
    target: join(out, "all"),
    deep: true,
    followLinks: false,
  });
  await using files = await openImageFiles(path);
  const contents: Record<string, string> = {};
  for (const { kind, path: place, target } of files.entries) {
    if (kind === "file") contents[place] = (await readFile(join(out, "all", place))).toString("base64");
    else contents[place] = kind === "link" ? `-> ${target}` : "folder";
  }
  return contents;
}

test("from the same manifest it holds what the existing tool's image holds", async () => {
  const dir = join(root, "as-ops");
  await mkdir(dir);
  const from = { imagePath: sample, target: dir, deep: true, followLinks: false };
  await copyFromImage({ ...from, paths: ["/tiny", "/my.toml", "/data"] });
  const home = join(root, "home-of-ops");
  await makeFakeNanos(home, "hang", "0.1.54");
  await mkdir(join(home, "common", "x"), { recursive: true });
  const common = ["/etc/ssl/certs/ca-certificates.crt", "/lib/x86_64-linux-gnu/libnss_dns.so.2"];
  await copyFromImage({ ...from, target: join(home, "common", "x"), paths: common });
  const image = await build({
    program: join(dir, "tiny"),
    workingDir: dir,
    manifest: samples.manifest,
    imageName: "tinyimg",
    kernelFiles: { opsHome: home },
  });
  expect(image).toMatchObject({ warnings: [], notes: [], workspace: "/workspace", nanosVersion: "0.1.54" });
  const { sizeBytes: _, uuid: __, ...ours } = await readNanosInfo(image.path);
  const { sizeBytes: ___, uuid: ____, ...theirs } = await readNanosInfo(sample);
  expect(ours).toEqual(theirs);
  expect(await contentsOf(image.path)).toEqual(await contentsOf(sample));
});

test("its parts are where Nanos looks for them", async () => {
  const image = await build({ manifest: { Klibs: ["ntp", "gpu"], BaseVolumeSz: "20m", RebootOnExit: true } });
  await using file = await openNanos(image.path);
  const { boot, root: rootRegion } = samples.partitions;
  expect(file.layout).toEqual({
    boot: { offset: boot.start * 512, length: boot.sectors * 512 },
    root: { offset: rootRegion.start * 512, length: 20 * 2 ** 20 - rootRegion.start * 512 },
  });
  expect(file.sizeBytes).toBe(20 * 2 ** 20);
  expect((await file.boot())?.entries.map(({ path }) => path)).toEqual(["/kernel", "/klib", "/klib/ntp"]);
  expect(image.warnings).toEqual([expect.stringMatching(/^Klibs: .*gpu is not there/)]);
  expect(image.notes).toEqual([expect.stringContaining("RebootOnExit")]);
  expect(await readNanosInfo(image.path)).toMatchObject({
    program: "/tiny",
    args: ["tiny"],
    env: { USER: "root", PWD: "/", NANOS_VERSION: "0.1.99", IMAGE_NAME: "tiny" },
    mounts: { "%0": "/workspace" },
    flags: { klibs: "bootfs", reboot_on_exit: "t" },
  });
  expect((await verifyImage(image.path)).map(({ part, problem }) => [part, problem])).toEqual([
    ["boot partition", null],
    ["root", null],
    ["program", null],
    ["mounts", null],
  ]);
});

test("the program's own file is at its place, whatever the manifest's files have there", async () => {
  const folder = join(root, "behind-link");
  await mkdir(folder);
  await writeFile(join(folder, "real"), "other");
  await symlink("../behind-link/real", join(folder, "tiny"));
  const manifest = { MapDirs: { "behind-link/tiny": "/" }, Env: { "rust-log": "info" } };
  const image = await build({ manifest });
  expect(image.files).toContain("/tiny");
  expect((await verifyImage(image.path)).map(({ problem }) => problem)).toEqual([null, null, null, null]);
});

test("what a manifest and a command line say goes in", async () => {
  await mkdir(join(root, "d/deep"), { recursive: true });
  await writeFile(join(root, "d/deep/f"), "x");
  await symlink("deep/f", join(root, "d/link"));
  await symlink("nowhere", join(root, "d/dangling"));
  await writeFile(join(root, "p1.bin"), "one");
  const image = await build({
    manifest: {
      args: ["of the manifest"],
      Env: { A: "1", USER: "me" },
      Files: ["p1.bin"],
      Dirs: ["d"],
      MapDirs: { "*.bin": "/params" },
      Mounts: { "%1": "/data/space/", params: "/big/:ro" },
      NameServers: ["1.1.1.1", "::1"],
      Klibs: null,
      ManifestPassthrough: { expected_exit_code: ["0", "!3"], consoles: { a: "+net" }, noaslr: "t" },
      RunConfig: { Memory: "2G", CPUs: 4, DeadlineSeconds: 90 },
    },
    args: ["a b", ""],
    env: { A: "2" },
  });
  expect(await readNanosInfo(image.path)).toMatchObject({
    args: ["tiny", "a b", ""],
    env: { A: "2", USER: "me" },
    mounts: { "%0": "/data/space", params: "/big:ro" },
    flags: { expected_exit_code: ["0", "!3"], consoles: { a: "+net" }, noaslr: "t" },
  });
  expect(await readNanosBoot(image.path)).toMatchObject({
    problem: null,
    info: { program: { volumes: [{ label: "params", path: "/big", readonly: true }] } },
  });
  const contents = await contentsOf(image.path);
  expect(Object.keys(contents).filter((path) => /^\/(d|p|big)/.test(path))).toEqual([
    "/big",
    "/d",
    "/d/deep",
    "/d/deep/f",
    "/d/link",
    "/data",
    "/data/space",
    "/p1.bin",
    "/params",
    "/params/p1.bin",
    "/proc",
    "/proc/sys",
    "/proc/sys/kernel",
    "/proc/sys/kernel/hostname",
  ]);
  expect(contents["/d/link"]).toBe("-> deep/f");
  const servers = Buffer.from("nameserver  1.1.1.1\nnameserver  ::1\n").toString("base64");
  expect(contents["/etc/resolv.conf"]).toBe(servers);
  expect(await readImageResources(image.path)).toEqual({ memMib: 2_048, cpus: 4 });
  expect((await stat(image.path)).size % 512).toBe(0);
  expect((await verifyImage(image.path)).filter(({ problem }) => problem !== null)).toEqual([]);
  expect(await readImageDefaults(image.path)).toEqual({
    resources: { memMib: 2048, cpus: 4 },
    deadlineSeconds: 90,
  });
  expect(image.notes).toEqual([
    expect.stringMatching(/ends after 90 s/),
    expect.stringMatching(/RunConfig: 2048 MiB, 4 CPUs, unless the deployment says otherwise/),
  ]);
});

test("the manifest alone may name the program", async () => {
  const image = await build({ program: undefined, manifest: { Program: "tiny" } });
  expect(image.program.path).toBe("/tiny");
});

test("the same inputs make the same bytes", async () => {
  const manifest = { RunConfig: { GPUs: 1 }, BaseVolumeSz: "20m" };
  const one = await build({ manifest, outputPath: join(root, "one/tiny.img") });
  const two = await build({ manifest, outputPath: join(root, "two/tiny.img") });
  expect(one.checksum).toBe(two.checksum);
  expect(await readImageResources(one.path)).toEqual({ gpus: 1 });
  expect(one.sizeBytes).toBe(20 * 2 ** 20);
  const other = await build({ outputPath: join(root, "three/tiny.img"), args: ["x"] });
  expect(other.checksum).not.toBe(one.checksum);
});

test("files and libraries come from a target root where it has them", async () => {
  const targetRoot = join(root, "target");
  await mkdir(join(targetRoot, "conf"), { recursive: true });
  await writeFile(join(targetRoot, "conf/x"), "of the target");
  const image = await build({
    targetRoot,
    manifest: { Files: ["conf/x"] },
    outputPath: join(root, "target.img"),
  });
  const { "/conf/x": content } = await contentsOf(image.path);
  expect(Buffer.from(content ?? "", "base64").toString()).toBe("of the target");
});

test("a dynamic program brings its loader and libraries", async () => {
  const image = await build({ program: process.execPath, outputPath: join(root, "node.img") });
  await using files = await openImageFiles(image.path);
  const contents = files.entries.map(({ path }) => path);
  expect(image.libraries.length).toBeGreaterThan(2);
  expect(contents).toEqual(expect.arrayContaining([...image.libraries, "/node"]));
});

describe("refuses", () => {
  const wrong: [string, () => Promise<Partial<BuildNanosImageOptions>>, string, RegExp][] = [
    [
      "no ops",
      async () => ({ kernelFiles: { opsHome: join(root, "none") } }),
      "NANOS_KERNEL_NOT_FOUND",
      /latest.txt.*ops update.*--kernel and --boot/,
    ],
    [
      "another version",
      async () => ({ kernelFiles: { opsHome, version: "0.1.1" } }),
      "NANOS_KERNEL_NOT_FOUND",
      /0\.1\.1\/kernel\.img/,
    ],
    [
      "a version that is a path",
      async () => ({ kernelFiles: { opsHome, version: "../x" } }),
      "NANOS_KERNEL_NOT_FOUND",
      /no version/,
    ],
    [
      "a loader that is none",
      async () => ({ kernelFiles: { opsHome, bootPath: join(root, "tiny") } }),
      "TFS_INVALID",
      /boot\.img/,
    ],
    [
      "a kernel that is too large",
      async () => {
        const kernelPath = join(root, "kernel");
        await writeFile(kernelPath, "");
        await truncate(kernelPath, 13 * 2 ** 20);
        return { kernelFiles: { opsHome, kernelPath } };
      },
      "TFS_TOO_SMALL",
      /kernel and the manifest's Klibs.*12582912, which is fixed/,
    ],
    ["a script", async () => ({ program: join(root, "x.mjs") }), "PROGRAM_UNUSABLE", /can't be read/],
    ["Exec", async () => ({ exec: {} }), "MANIFEST_INVALID", /Linux/],
    [
      "a size that is none",
      async () => ({ manifest: { BaseVolumeSz: "big" } }),
      "MANIFEST_INVALID",
      /64m or 2g/,
    ],
    [
      "the program passed through",
      async () => ({ manifest: { ManifestPassthrough: { program: "/x" } } }),
      "MANIFEST_INVALID",
      /key of its own/,
    ],
    [
      "a number passed through",
      async () => ({ manifest: { ManifestPassthrough: { a: { b: 1 } } } }),
      "MANIFEST_INVALID",
      /write a string/,
    ],
    ["a missing file", async () => ({ manifest: { Files: ["absent"] } }), "MANIFEST_FILE", /absent/],
    [
      "a folder in a file's place",
      async () => ({ manifest: { Mounts: { "%1": "/tiny/x" } } }),
      "MANIFEST_FILE",
      /tiny/,
    ],
  ];
  test.each(wrong)("%s, and leaves nothing", async (_, changes, code, message) => {
    const folder = await mkdtemp(join(root, "wrong-"));
    const error = await build({ outputPath: join(folder, "x.img"), ...(await changes()) }).catch(
      (cause) => cause,
    );
    if (!isGevulotError(error)) throw error;
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
    expect(await readdir(folder)).toEqual([]);
  });
});

test("it is not taken for one that a host process can run", async () => {
  const run = extractProgram({ imagePath: (await build()).path, cacheDir: join(root, "cache") });
  await expect(run).rejects.toMatchObject({
    code: "IMAGE_INVALID",
    message: expect.stringMatching(/provider qemu/),
  });
  await expect(checkGpuImage((await build()).path)).rejects.toMatchObject({
    code: "IMAGE_INVALID",
    message: expect.stringMatching(/it is for Nanos, whose GPU driver is a klib/),
  });
});

test("an image without the node's share says so", async () => {
  const path = join(root, "no-mount.img");
  const bytes = await readFile((await build()).path);
  bytes.write("%7", bytes.indexOf("%0"), "latin1");
  await writeFile(path, bytes);
  expect((await readNanosBoot(path))?.problem).toMatch(/its mounts: %7 at \/workspace.*"%1": "\/workspace"/);
  expect((await verifyImage(path)).at(-1)).toMatchObject({
    part: "mounts",
    problem: expect.stringContaining("tag is 0"),
  });
});

test("nor does one whose share is read-only", () => {
  const problem = nodeMountProblem({ program: "/p", mounts: { "%0": "/workspace:ro" } });
  expect(problem).toMatch(/share read-only \(\/workspace:ro\).*without ":ro"/);
});

describe("copyFromImage", () => {
  const copy = (paths: string[], target: string, changes: { deep?: boolean; followLinks?: boolean } = {}) =>
    copyFromImage({ imagePath: sample, paths, target, deep: false, followLinks: false, ...changes });

  test("files into a folder, a file under a name, a link as it is or what it leads to", async () => {
    const dir = await mkdtemp(join(root, "cp-"));
    expect(await copy(["/tiny", "my.toml"], dir)).toBe(2);
    expect((await stat(join(dir, "tiny"))).mode & 0o111).not.toBe(0);
    await chmod(join(dir, "tiny"), 0o400);
    expect(await copy(["/data/a.txt"], join(dir, "tiny"))).toBe(1);
    expect(await readFile(join(dir, "tiny"), "utf8")).toBe("one\n");
    await copy(["/data/deep/link"], join(dir, "followed"), { followLinks: true });
    expect(await readFile(join(dir, "followed"), "utf8")).toBe("one\n");
    await copy(["/data/deep"], join(dir, "deep"), { deep: true });
    expect(await readdir(join(dir, "deep"))).toEqual(["er", "link"]);
    await copy(["/data"], dir, { deep: true, followLinks: true });
    expect(await readFile(join(dir, "data/deep/link"), "utf8")).toBe("one\n");
  });

  test("writes through no link that is in the way", async () => {
    const dir = await mkdtemp(join(root, "cp-"));
    await mkdir(join(dir, "elsewhere"));
    await writeFile(join(dir, "elsewhere/a.txt"), "mine");
    await mkdir(join(dir, "data"));
    await symlink("../elsewhere/a.txt", join(dir, "data/a.txt"));
    await symlink("../elsewhere", join(dir, "data/deep"));
    await expect(copy(["/data"], dir, { deep: true })).rejects.toMatchObject({ code: "COPY_TARGET" });
    expect(await readdir(join(dir, "elsewhere"))).toEqual(["a.txt"]);
    expect(await readFile(join(dir, "elsewhere/a.txt"), "utf8")).toBe("mine");
  });

  test.each<[string, string[], { deep?: boolean }, string]>([
    ["a folder without -r", ["/data"], {}, "IMAGE_PATH"],
    ["what is not there", ["/absent"], {}, "IMAGE_PATH"],
    ["several files to one", ["/tiny", "/my.toml"], {}, "COPY_TARGET"],
  ])("refuses %s", async (_, paths, changes, code) => {
    await expect(copy(paths, join(root, "absent"), changes)).rejects.toMatchObject({ code });
  });
});
