import { execFileSync } from "node:child_process";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  type ContainerParts,
  makeDockerArchive,
  makeOciLayout,
  makeTar,
  type TarItem,
} from "../../../../test/fixtures/makeContainer.ts";
import { makeElf } from "../../../../test/fixtures/makeElf.ts";
import { parseManifest } from "../manifest.ts";
import { readContainerProgram } from "./containerProgram.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-container-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A script for a shell that is there: all that a container needs to be taken. */
const SHELL: readonly TarItem[] = [
  { path: "bin/", mode: 0o755 },
  { path: "bin/sh", data: "#!/bin/sh\n", mode: 0o755 },
];
const config = { Entrypoint: ["/bin/sh", "-c"], Cmd: ["echo hi"], Env: ["A=1", "B=x=y"], WorkingDir: "/app" };

async function read(container: string, manifest: object = {}) {
  const scratchDir = await mkdtemp(join(folder, "scratch-"));
  const outputDir = join(scratchDir, "root");
  const options = { container, manifest: parseManifest(manifest), scratchDir, outputDir };
  const program = await readContainerProgram(options);
  return { program, at: (path: string) => join(outputDir, path) };
}

async function save(bytes: Buffer): Promise<string> {
  await writeFile(join(folder, "saved.tar"), bytes);
  return join(folder, "saved.tar");
}

const layers = (...items: (readonly TarItem[])[]): ContainerParts => ({ layers: [SHELL, ...items], config });

describe("a container's root", () => {
  test.each<[string, () => Promise<string>]>([
    ["docker save", () => save(makeDockerArchive(layers([{ path: "app/x", data: "1" }])))],
    ["docker save, packed", () => save(gzipSync(makeDockerArchive(layers([{ path: "app/x", data: "1" }]))))],
    [
      "an OCI archive",
      () => {
        const files = makeOciLayout(layers([{ path: "app/x", data: "1" }]));
        return save(makeTar([...files].map(([path, data]) => ({ path, data }))));
      },
    ],
    [
      "an OCI layout",
      async () => {
        for (const [path, data] of makeOciLayout(layers([{ path: "app/x", data: "1" }]))) {
          await mkdir(dirname(join(folder, "oci", path)), { recursive: true });
          await writeFile(join(folder, "oci", path), data);
        }
        return join(folder, "oci");
      },
    ],
  ])("comes from %s", async (_, make) => {
    const { program, at } = await read(await make());
    expect(program).toEqual({
      path: "/bin/sh",
      args: ["-c", "echo hi"],
      env: { A: "1", B: "x=y" },
      cwd: "/app",
      notes: [],
    });
    expect(await readFile(at("app/x"), "utf8")).toBe("1");
  });

  test("may have its working folder behind links", async () => {
    const link: TarItem[] = [
      { path: "srv/real/", mode: 0o755 },
      { path: "app", type: "2", target: "/srv/real" },
    ];
    const { program } = await read(await save(makeDockerArchive(layers(link))));
    expect(program.cwd).toBe("/srv/real");
  });

  test("has its libraries where its own environment says, and lacks are told", async () => {
    const loader = "/lib64/ld-linux-x86-64.so.2";
    const needed = ["libgv1.so"];
    const items: TarItem[] = [
      { path: loader.slice(1), data: makeElf() },
      { path: "app/u", data: makeElf({ interpreter: loader, needed }), mode: 0o755 },
      { path: "opt/l/libgv1.so", data: makeElf() },
    ];
    const saved = async (Env: string[]) =>
      save(makeDockerArchive({ layers: [items], config: { Entrypoint: ["/app/u"], Env } }));
    expect((await read(await saved(["LD_LIBRARY_PATH=/opt/l:/x"]))).program.notes).toEqual([]);
    expect((await read(await saved([]))).program.notes).toEqual([
      expect.stringMatching(/^libgv1\.so, which \/app\/u needs, is not in \/lib.*may not start/),
    ]);
  });

  test("is what its layers make together", async () => {
    const long = `${"d".repeat(90)}/${"f".repeat(90)}`;
    const lower: TarItem[] = [
      { path: "usr/lib/a", data: "a" },
      { path: "lib", type: "2", target: "usr/lib" },
      { path: "gone", data: "x" },
      { path: "opaque/old", data: "x" },
      { path: "opaque/deep/old", data: "x" },
      { path: "tool", data: "tool", mode: 0o4755 },
      { path: "hard", type: "1", target: "tool" },
      { path: "file-then-folder", data: "x" },
      { path: long, data: "long" },
      { path: "dev/null", type: "3" },
    ];
    const upper: TarItem[] = [
      // Through the link of the lower layer, as a container's own root would have it.
      { path: "./lib/b", data: "b" },
      { path: ".wh.gone" },
      { path: "opaque/new", data: "new" },
      { path: "opaque/.wh..wh..opq" },
      { path: "file-then-folder/x", data: "y" },
      { path: "usr/lib/a", data: "a2" },
    ];
    const { program, at } = await read(await save(makeDockerArchive(layers(lower, upper))));
    expect(await readFile(at("usr/lib/b"), "utf8")).toBe("b");
    expect(await readFile(at("usr/lib/a"), "utf8")).toBe("a2");
    expect(await readlink(at("lib"))).toBe("usr/lib");
    expect(await readdir(at("opaque"))).toEqual(["new"]);
    expect(await readFile(at("hard"), "utf8")).toBe("tool");
    expect((await lstat(at("tool"))).mode & 0o7777).toBe(0o755);
    expect(await readFile(at("file-then-folder/x"), "utf8")).toBe("y");
    expect(await readFile(at(long), "utf8")).toBe("long");
    expect(await readdir(at("."))).not.toContain("gone");
    expect(await readdir(at("."))).not.toContain("dev");
    expect(program.notes).toEqual(["1 device nodes and pipes are left out."]);
  });

  test("never leads out of its folder", async () => {
    const victim = join(folder, "victim");
    await mkdir(victim);
    const items: TarItem[] = [
      { path: "out", type: "2", target: victim },
      { path: "out/planted", data: "x" },
      { path: "up", type: "2", target: "../../../../../../.." },
      { path: `up${victim}/planted`, data: "x" },
      { path: ".gevulot", type: "2", target: victim },
      { path: "/absolute", data: "x" },
    ];
    const { at } = await read(await save(makeDockerArchive(layers(items))));
    expect(await readdir(victim)).toEqual([]);
    // Where a program in the container would find it.
    expect(await readFile(at(`${victim}/planted`), "utf8")).toBe("x");
    expect(await readFile(at("absolute"), "utf8")).toBe("x");
    await expect(lstat(at(".gevulot"))).rejects.toThrow("ENOENT");
  });

  test("takes no more of the disk for many names of one file", async () => {
    const names = Array.from(
      { length: 50 },
      (_, at): TarItem => ({ path: `h${at}`, type: "1", target: "f" }),
    );
    const { at } = await read(await save(makeDockerArchive(layers([{ path: "f", data: "x" }, ...names]))));
    expect((await lstat(at("h49"))).ino).toBe((await lstat(at("f"))).ino);
  });

  test("is read as GNU tar packs it", async () => {
    const source = join(folder, "tree");
    const name = `${"n".repeat(120)}/${"m".repeat(120)}`;
    await mkdir(dirname(join(source, name)), { recursive: true });
    await writeFile(join(source, name), "named");
    execFileSync("tar", ["--format=gnu", "-cf", join(folder, "gnu.tar"), "-C", source, "."]);
    const packed = await readFile(join(folder, "gnu.tar"));
    const { at } = await read(await save(makeDockerArchive({ layers: [SHELL, packed], config })));
    expect(await readFile(at(name), "utf8")).toBe("named");
  });
});

describe("what a container starts", () => {
  test("the manifest's Program, Args and Env count more", async () => {
    const path = await save(makeDockerArchive(layers([{ path: "opt/p", data: "#!/bin/sh\n", mode: 0o755 }])));
    const { program } = await read(path, { Program: "opt/p", Args: ["x"], Env: { A: "2" } });
    expect(program).toMatchObject({ path: "/opt/p", args: ["x"], env: { A: "2", B: "x=y" } });
  });

  test("a name is looked for in the container's PATH; a user is told", async () => {
    const parts = { layers: [SHELL], config: { Cmd: ["sh", "x"], Env: ["PATH=/nowhere:/bin"], User: "app" } };
    const { program } = await read(await save(makeDockerArchive(parts)));
    expect(program).toMatchObject({ path: "/bin/sh", args: ["x"] });
    expect(program.notes).toEqual([expect.stringMatching(/user app means nothing/)]);
  });
});

test("what a machine can't have of it is told", async () => {
  const parts = {
    layers: [SHELL, [{ path: "tmp/x", data: "x" }]],
    config: { Cmd: ["/bin/sh"], Env: ["my.var=1", "A=2", "1X=3"] },
  };
  const { program } = await read(await save(makeDockerArchive(parts)));
  expect(program.env).toEqual({ A: "2" });
  expect(program.notes).toEqual([
    expect.stringMatching(/"1X", "my\.var"|"my\.var", "1X"/),
    expect.stringMatching(/in \/tmp is not seen/),
  ]);
});

describe("refuses", () => {
  const docker = (parts: ContainerParts) => () => save(makeDockerArchive(parts));
  const withItems = (...items: TarItem[]) => docker(layers(items));
  test.each<[string, () => Promise<string>, RegExp]>([
    ["an archive of other things", () => save(makeTar([{ path: "x" }])), /neither a docker save archive/],
    ["no archive", () => save(Buffer.alloc(2000, 7)), /no tar archive, or damaged/],
    ["a cut archive", async () => save(makeDockerArchive(layers()).subarray(0, 2000)), /cut off/],
    ["a cut gzip", async () => save(gzipSync(makeDockerArchive(layers())).subarray(0, 300)), /damaged/],
    ["a folder without an index", async () => folder, /no OCI layout.*podman build/],
    [
      "another processor",
      docker({ ...layers(), architecture: "arm64" }),
      /linux\/arm64; build it for linux\/amd64/,
    ],
    ["nothing to start", docker({ layers: [SHELL] }), /neither Entrypoint nor Cmd/],
    [
      "a program that is missing",
      docker({ layers: [SHELL], config: { Cmd: ["/none"] } }),
      /program \/none is not in it/,
    ],
    [
      "a script without its interpreter",
      docker({ layers: [[{ path: "p", data: "#!/usr/bin/none\n" }]], config: { Cmd: ["/p"] } }),
      /\/usr\/bin\/none, which runs its program/,
    ],
    [
      "a text",
      docker({ layers: [[{ path: "p", data: "hello" }]], config: { Cmd: ["/p"] } }),
      /neither an ELF file/,
    ],
    [
      "a path upwards",
      withItems({ path: "a/../../x", data: "x" }),
      /layer 2 of 2: the path .* leads upwards/,
    ],
    [
      "links in a circle",
      withItems(
        { path: "a", type: "2", target: "b" },
        { path: "b", type: "2", target: "a" },
        { path: "a/x" },
      ),
      /circle/,
    ],
    [
      "a hard link to nothing",
      withItems({ path: "a", type: "1", target: "../../etc/passwd" }),
      /leads upwards/,
    ],
    [
      "an endless path",
      withItems({ path: `${"a/".repeat(3000)}x`, data: "x" }),
      /layer 2 of 2: the path .* too long/,
    ],
    [
      "more folders than files are allowed, few as its files are",
      withItems(
        ...Array.from(
          { length: 550 },
          (_, at): TarItem => ({ path: `${at}/${"a/".repeat(2000)}x`, data: "" }),
        ),
      ),
      /more than 1000000 files/,
    ],
    ["a hard link to no file", withItems({ path: "a", type: "1", target: "none" }), /no file of it/],
    ["a name too long", withItems({ path: "x".repeat(300), data: "" }), /can't be used/],
    [
      "a name of an engine that has it not",
      async () => "no-such-image-here:1",
      /no such file, and no engine has/,
    ],
    ["a path that is missing", async () => "./none.tar", /no such file/],
  ])("%s", async (_, make, reason) => {
    const error = await read(await make()).catch((cause: unknown) => cause);
    expect(error).toMatchObject({ code: "CONTAINER_INVALID", message: expect.stringMatching(reason) });
  });

  test("a layer that is not what the container says", async () => {
    const files = makeOciLayout(layers());
    const layer = [...files.keys()].find(
      (name) => files.get(name)?.toString("latin1", 0, 4) === "bin/",
    ) as string;
    files.set(layer, makeTar([{ path: "bin/sh", data: "#!/bin/sh\nevil", mode: 0o755 }]));
    const path = await save(makeTar([...files].map(([name, data]) => ({ path: name, data }))));
    await expect(read(path)).rejects.toMatchObject({ message: expect.stringMatching(/checksum is wrong/) });
  });
});
