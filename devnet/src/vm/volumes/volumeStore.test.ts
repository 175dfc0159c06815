import { execFile } from "node:child_process";
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { parseVolumeSize } from "./makeVolume.ts";
import { holdVolume } from "./volumeHolds.ts";
import { createVolumeStore, type VolumeStore } from "./volumeStore.ts";

let root = "";
let folder = "";
let store: VolumeStore;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-volumes-"));
  folder = join(root, "volumes");
  store = createVolumeStore({ folder });
});
afterEach(() => rm(root, { recursive: true, force: true }));

const debugfs = async (path: string, command: string): Promise<string> =>
  (await promisify(execFile)("/usr/sbin/debugfs", ["-R", command, path])).stdout;

test("a volume holds a folder's files, takes little of the disk, and is listed and deleted", async () => {
  const content = join(root, "content");
  await mkdir(join(content, "deep"), { recursive: true });
  await writeFile(join(content, "deep", "parameters with space"), "parameters");
  await symlink("/etc/passwd", join(content, "link"));
  const made = await store.create({ name: "params", sizeBytes: 40 * 2 ** 30, contentDir: content });
  expect(made).toMatchObject({ name: "params", format: "linux", sizeBytes: 40 * 2 ** 30, holders: [] });
  expect(made.usedBytes).toBeLessThan(64 * 2 ** 20);
  expect(await debugfs(made.path, 'cat "/deep/parameters with space"')).toBe("parameters");
  // A link is copied as it is: what it points to stays on the host.
  expect(await debugfs(made.path, "stat /link")).toContain("Type: symlink");
  expect((await stat(made.path)).mode & 0o777).toBe(0o600);
  expect((await store.list()).map(({ name }) => name)).toEqual(["params"]);
  await store.delete("params");
  expect(await store.list()).toEqual([]);
});

test("the size comes from the folder where none is given; one too small is refused", async () => {
  const content = join(root, "content");
  await mkdir(content);
  await writeFile(join(content, "data"), Buffer.alloc(30 * 2 ** 20, 1));
  const made = await store.create({ name: "fits", contentDir: content });
  expect(made.sizeBytes).toBeGreaterThan(30 * 2 ** 20);
  expect(await debugfs(made.path, "stat /data")).toContain(`Size: ${30 * 2 ** 20}`);
  const small = { name: "small", contentDir: content, sizeBytes: 8 * 2 ** 20 };
  await expect(store.create(small)).rejects.toMatchObject({ code: "VOLUME_INVALID" });
  await expect(store.create({ name: "fits" })).rejects.toMatchObject({ code: "VOLUME_EXISTS" });
  const { stdout } = await promisify(execFile)("ls", ["-A", folder]);
  expect(stdout).toBe("fits.img\n");
});

test("a folder of many small files fits, as far as its bytes do", async () => {
  const content = join(root, "content");
  await mkdir(content);
  for (let at = 0; at < 1_015; at++) await writeFile(join(content, String(at)), "");
  const { path } = await store.create({ name: "small", sizeBytes: 4 * 2 ** 20, contentDir: content });
  expect(await debugfs(path, "stat /1014")).toContain("Type: regular");
});

test("what a killed process had begun is taken away; what another makes now is not", async () => {
  await mkdir(folder);
  await writeFile(join(folder, `.new-${2 ** 22 - 1}-1-aa`), "");
  const started = (await readFile("/proc/self/stat", "utf8")).split(") ")[1]?.split(" ")[19];
  const others = `.new-${process.pid}-${started}-bb`;
  await writeFile(join(folder, others), "");
  await store.create({ name: "v", sizeBytes: 4 * 2 ** 20 });
  expect((await readdir(folder)).sort()).toEqual([others, "v.img"]);
});

test("many read or one writes; the others are told by whom", async () => {
  await store.create({ name: "v", sizeBytes: 4 * 2 ** 20 });
  const hold = (isReadonly: boolean, what = "task 1") => store.hold("v", { readonly: isReadonly, what });
  const first = await hold(true);
  const second = await hold(true, "task 2");
  const refused = {
    code: "VOLUME_IN_USE",
    message: expect.stringContaining(`task 2 (process ${process.pid}) reads it`),
  };
  await expect(hold(false)).rejects.toMatchObject(refused);
  await expect(store.delete("v")).rejects.toMatchObject(refused);
  await first[Symbol.asyncDispose]();
  await second[Symbol.asyncDispose]();
  const writer = await hold(false, "task 3");
  expect((await store.list())[0]?.holders).toMatchObject([
    { pid: process.pid, what: "task 3", access: "write" },
  ]);
  for (const isReadonly of [true, false]) {
    await expect(hold(isReadonly)).rejects.toMatchObject({ message: expect.stringContaining("task 3") });
  }
  await writer[Symbol.asyncDispose]();
  // Of many at once exactly one may write.
  const all = await Promise.allSettled(Array.from({ length: 10 }, () => hold(false)));
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
});

test("strangers' programs write only to a volume that was made for that", async () => {
  const hold = (name: string, isReadonly: boolean) =>
    store.hold(name, { readonly: isReadonly, what: "task 1", isStrangers: true });
  const plain = { name: "plain", sizeBytes: 4 * 2 ** 20 };
  await store.create(plain);
  await expect(hold("plain", false)).rejects.toMatchObject({
    code: "VOLUME_INVALID",
    message: expect.stringMatching(/only to be read by tasks.*:ro.*volume create plain --writable/),
  });
  await (await hold("plain", true))[Symbol.asyncDispose]();
  await store.create({ ...plain, name: "scratch", writable: true });
  await (await hold("scratch", false))[Symbol.asyncDispose]();
  expect((await store.list()).map(({ name, writable }) => [name, writable])).toEqual([
    ["plain", false],
    ["scratch", true],
  ]);
  // The next of that name is another volume.
  await store.delete("scratch");
  await store.create({ ...plain, name: "scratch" });
  await expect(hold("scratch", false)).rejects.toMatchObject({ code: "VOLUME_INVALID" });
});

test.skipIf(process.platform !== "linux")("where holds can't be noted, a volume is only read", async () => {
  // Nobody, not even root, makes folders there.
  const hold = (access: "read" | "write") =>
    holdVolume("/sys/gevulot-none", { name: "v", what: "t", access });
  await (await hold("read"))();
  await expect(hold("write")).rejects.toMatchObject({
    code: "VOLUME_INVALID",
    message: expect.stringMatching(/folder of the volume v can't be written to \(E\w+\).*Mount it with :ro/),
  });
});

test("what a killed process held is free again", async () => {
  await store.create({ name: "v", sizeBytes: 4 * 2 ** 20 });
  const gone = JSON.stringify({ pid: 2 ** 22 - 1, startTime: "1", what: "task 9", access: "write" });
  const holds = join(folder, ".holds", "v");
  await mkdir(holds, { recursive: true });
  await writeFile(join(holds, "1-aa.json"), gone);
  // As one that was killed while it wrote this.
  await writeFile(join(holds, "2-bb.json"), '{"pid": 1');
  await using held = await store.hold("v", { readonly: false, what: "task 10" });
  expect(held.sizeBytes).toBe(4 * 2 ** 20);
});

test("a volume that is missing, damaged or misnamed", async () => {
  const hold = (name: string) => store.hold(name, { readonly: true, what: "task" });
  const missing = { code: "VOLUME_MISSING", message: expect.stringContaining("volume create none -s") };
  await expect(hold("none")).rejects.toMatchObject(missing);
  await expect(store.delete("none")).rejects.toMatchObject({
    code: "VOLUME_MISSING",
    message: expect.stringMatching(/^There is no volume none in .*volume list\.$/),
  });
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, "bad.img"), "no file system");
  await expect(hold("bad")).rejects.toMatchObject({ code: "VOLUME_INVALID" });
  await symlink("/nowhere", join(folder, "nowhere.img"));
  await store.create({ name: "good", sizeBytes: 4 * 2 ** 20 });
  expect((await store.list()).map(({ name, format }) => [name, format])).toEqual([
    ["bad", "damaged"],
    ["good", "linux"],
    ["nowhere", "damaged"],
  ]);
  expect(await readFile(join(folder, "bad.img"), "utf8")).toBe("no file system");
  for (const name of ["", ".", "..", "../v", "a/b", "-s", "a".repeat(64), "ü", "a\0"]) {
    await expect(hold(name)).rejects.toMatchObject({ code: "VOLUME_INVALID" });
    await expect(store.create({ name })).rejects.toMatchObject({ code: "VOLUME_INVALID" });
  }
});

test.each([
  ["40g", 40 * 2 ** 30],
  ["1.5G", 1.5 * 2 ** 30],
  ["512m", 512 * 2 ** 20],
  ["512MiB", 512 * 2 ** 20],
  ["4194304", 4_194_304],
])("the size %s", (text, bytes) => {
  expect(parseVolumeSize(text)).toBe(bytes);
});

test.each(["", "g", "-1g", "4k", "1e9", "999t", "40 g b", "0x10g"])("no size: %s", (text) => {
  expect(() => parseVolumeSize(text)).toThrow(/is no size of a volume/);
});

test("a volume whose writer was stopped is to be written first: a reader would miss what is in the journal", async () => {
  const { path } = await store.create({ name: "cut", sizeBytes: 8 * 2 ** 20 });
  // The superblock's incompatible features, as a guest has them that has mounted the volume to write.
  const file = await open(path, "r+");
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, 1_024 + 0x60);
  await file.write(Buffer.of((buffer[0] as number) | 0x4), 0, 1, 1_024 + 0x60);
  await file.close();
  expect(await debugfs(path, "features")).toContain("needs_recovery");
  const reading = { readonly: true, what: "a test" };
  await expect(store.hold("cut", reading)).rejects.toMatchObject({
    code: "VOLUME_INVALID",
    message: expect.stringContaining("Run one that mounts it to write"),
  });
  expect(await store.holders("cut")).toEqual([]);
  await using held = await store.hold("cut", { ...reading, readonly: false });
  expect(held.format).toBe("linux");
});
