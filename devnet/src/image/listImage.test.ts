import { cp, mkdir, mkdtemp, open, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BuiltImage, buildImage } from "./buildImage.ts";
import { DESCRIPTOR_OFFSET } from "./descriptor.ts";
import { catImageFile, listImage, listImageFolder } from "./listImage.ts";
import { verifyImage } from "./verifyImage.ts";

const BUSYBOX = "/bin/busybox";
let root: string;
let image: BuiltImage;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-list-"));
  await mkdir(join(root, "data/deep"), { recursive: true });
  await writeFile(join(root, "data/a b"), "with a space");
  await writeFile(join(root, "data/deep/c"), "deep");
  await symlink("deep", join(root, "data/way"));
  await symlink("../../data/a b", join(root, "data/deep/up"));
  image = await buildImage({
    program: BUSYBOX,
    manifest: { Dirs: ["data"] },
    workingDir: root,
    outputPath: join(root, "x.img"),
  });
}, 60_000);
afterAll(() => rm(root, { recursive: true, force: true }));

const ls = async (path: string, deep = false) =>
  (await listImageFolder({ imagePath: image.path, path, deep })).map((entry) => entry.path);

async function cat(path: string): Promise<string> {
  const output = join(root, "output");
  const file = await open(output, "w");
  try {
    await catImageFile({ imagePath: image.path, path, outputFd: file.fd });
  } finally {
    await file.close();
  }
  return readFile(output, "utf8");
}

describe("an image's files", () => {
  test("are listed with mode, size and target", async () => {
    const all = await listImage(image.path);
    const at = (path: string) => all.find((entry) => entry.path === path);
    const size = (await readFile(BUSYBOX)).length;
    expect(at("/busybox")).toEqual({
      kind: "file",
      path: "/busybox",
      mode: "-rwxr-xr-x",
      sizeBytes: size,
    });
    expect(at("/data")).toMatchObject({ kind: "directory", mode: "drwxr-xr-x" });
    expect(at("/data/a b")).toMatchObject({ kind: "file", mode: "-rw-r--r--", sizeBytes: 12 });
    expect(at("/data/deep/up")).toMatchObject({ kind: "link", target: "../../data/a b" });
    expect(await ls("/data")).toEqual(["/data/a b", "/data/deep", "/data/way"]);
    expect(await ls("data/way", true)).toEqual(["/data/deep/c", "/data/deep/up"]);
    expect(await ls("/data/deep/c")).toEqual(["/data/deep/c"]);
    expect(await ls("/")).toContain("/busybox");
  });

  test("are read, links followed", async () => {
    expect(await cat("/data/a b")).toBe("with a space");
    expect(await cat("data/way/c")).toBe("deep");
    expect(await cat("/data/way/up")).toBe("with a space");
  });

  test.each([
    ["/none", /no such file/],
    ["/data/*", /no such file/],
    ["/busybox/x", /no such file/],
    ["/data", /a folder/],
    ["/", /a folder/],
  ])("%s is refused", async (path, reason) => {
    await expect(cat(path)).rejects.toMatchObject({
      code: "IMAGE_PATH",
      message: expect.stringMatching(reason),
    });
  });
});

describe("verifyImage", () => {
  const damaged = async (at: number): Promise<string[]> => {
    const path = join(root, "damaged.img");
    await cp(image.path, path);
    const file = await open(path, "r+");
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, at);
    await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, at);
    await file.close();
    return (await verifyImage(path)).flatMap((check) => (check.problem === null ? [] : check.part));
  };

  test("finds nothing wrong with a new one", async () => {
    const checks = await verifyImage(image.path);
    expect(checks.filter((check) => check.problem !== null)).toEqual([]);
    expect(checks.length).toBe(6);
  });

  test("names the part that is damaged", async () => {
    expect(await damaged(100)).toEqual(["first sector"]);
    expect(await damaged(image.boot.offset + 3)).toEqual(["boot partition"]);
    expect(await damaged(image.kernel.offset + 1_000_000)).toEqual(["boot partition", "kernel"]);
    expect(await damaged(image.initrd.offset + 1_000)).toEqual(["boot partition", "initrd"]);
    expect(await damaged(image.root.offset + image.root.length - 1)).toEqual(["root"]);
  });

  test("throws where nothing can be said", async () => {
    await expect(damaged(DESCRIPTOR_OFFSET + 100)).rejects.toThrow(/its description is damaged/);
    const path = join(root, "cut.img");
    await cp(image.path, path);
    await truncate(path, image.sizeBytes - 1);
    await expect(verifyImage(path)).rejects.toThrow(/cut off/);
    await expect(verifyImage(BUSYBOX)).rejects.toMatchObject({ code: "IMAGE_INVALID" });
  });
});
