import { mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyFromImage } from "../copyFromImage.ts";
import { verifyImage } from "../verifyImage.ts";
import { readNanosInfo } from "./nanosInfo.ts";
import { writeTfsVolume } from "./writeTfsVolume.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-volume-"));
  await mkdir(join(root, "data/deep"), { recursive: true });
  await writeFile(join(root, "data/a"), "one");
  await symlink("../a", join(root, "data/deep/link"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("holds a folder, has its label and its size, and takes no more of the disk than it holds", async () => {
  const path = join(root, "large");
  await writeTfsVolume({ path, label: "params", sizeBytes: 40 * 2 ** 30, contentDir: join(root, "data") });
  expect(await readNanosInfo(path)).toMatchObject({
    sizeBytes: 40 * 2 ** 30,
    label: "params",
    program: null,
    env: { USER: "root", PWD: "/" },
  });
  const { blocks, mode } = await stat(path);
  expect(blocks * 512).toBeLessThan(2 ** 20);
  expect(mode & 0o077).toBe(0);
  const out = join(root, "out");
  await copyFromImage({ imagePath: path, paths: ["/"], target: out, deep: true, followLinks: false });
  expect(await readFile(join(out, "deep/link"), "utf8")).toBe("one");
  expect(await verifyImage(path)).toEqual([
    { part: "volume", found: "3 files, folders and links with 3 bytes", problem: null },
  ]);
});

test("without a size it is as large as it needs to be, or 1 GiB", async () => {
  await truncate(join(root, "data/a"), 100 * 2 ** 20);
  const [filled, empty] = [join(root, "filled"), join(root, "empty")];
  await writeTfsVolume({ path: filled, label: "x", contentDir: join(root, "data") });
  await writeTfsVolume({ path: empty, label: "x" });
  expect((await stat(filled)).size).toBe(165 * 2 ** 20);
  expect((await stat(empty)).size).toBe(2 ** 30);
});

test("refuses what does not fit, a label that is too long, and to write over a file", async () => {
  const options = { label: "x", contentDir: join(root, "data"), sizeBytes: 2 ** 20 };
  await expect(writeTfsVolume({ ...options, path: join(root, "s") })).rejects.toMatchObject({
    code: "TFS_TOO_SMALL",
  });
  const long = writeTfsVolume({ path: join(root, "l"), label: "x".repeat(256) });
  await expect(long).rejects.toMatchObject({ code: "TFS_INVALID" });
  await expect(writeTfsVolume({ path: join(root, "data/a"), label: "x" })).rejects.toMatchObject({
    code: "EEXIST",
  });
});
