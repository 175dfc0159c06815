import { createHash } from "node:crypto";
import { mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { isGevulotError } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import samples from "../../../../test/vectors/nanos/samples.json" with { type: "json" };
import { encodeVarint } from "./cursor.ts";
import { bootOffset, firstSector, readLayout } from "./diskLayout.ts";
import { encodeTuple } from "./encodeTuple.ts";
import { newFolder, put } from "./folderTree.ts";
import { encodeLog, SECTOR_BYTES } from "./log.ts";
import { nanosInfo } from "./nanosInfo.ts";
import { type OpenTfs, openNanos } from "./openNanos.ts";
import { readTfsFile } from "./readTfsFile.ts";
import type { TfsEntry } from "./tfsTree.ts";
import type { TfsTuple, TfsValue } from "./tfsValue.ts";
import { type TfsFolder, type WriteTfsOptions, writeTfs } from "./writeTfs.ts";

const vectors = new URL("../../../../test/vectors/nanos/", import.meta.url);
const sampleOf = async (name: string) => gunzipSync(await readFile(new URL(`${name}.tfs.gz`, vectors)));

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-tfs-"));
});
afterAll(() => rm(folder, { recursive: true }));

let count = 0;
async function fileOf(bytes: Buffer): Promise<string> {
  const path = join(folder, `${++count}.tfs`);
  await writeFile(path, bytes);
  return path;
}

/** Reads all, data included. */
async function readAll(
  path: string,
): Promise<{ tfs: OpenTfs; contents: Map<string, Buffer | string | null> }> {
  await using file = await openNanos(path);
  const contents = new Map<string, Buffer | string | null>();
  for (const entry of file.root.entries) {
    if (entry.kind === "file") contents.set(entry.path, await contentOf(file.handle, file.root, entry));
    else contents.set(entry.path, entry.kind === "link" ? entry.target : null);
  }
  return { tfs: file.root, contents };
}

async function contentOf(
  handle: Awaited<ReturnType<typeof open>>,
  tfs: OpenTfs,
  entry: Extract<TfsEntry, { kind: "file" }>,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const piece of readTfsFile(handle, tfs.region, entry)) {
    parts.push("data" in piece ? Buffer.from(piece.data) : Buffer.alloc(piece.zeros));
  }
  return Buffer.concat(parts);
}

async function write(options: WriteTfsOptions): Promise<{ path: string; bytes: Buffer }> {
  const path = join(folder, `${++count}.tfs`);
  const disk = await open(path, "wx+");
  try {
    await writeTfs(disk, 0, options);
  } finally {
    await disk.close();
  }
  return { path, bytes: await readFile(path) };
}

function treeOf(contents: ReadonlyMap<string, Buffer | string | null>): TfsFolder {
  const root = newFolder();
  for (const [path, content] of contents) {
    if (content === null) put(root, path, newFolder());
    else if (typeof content === "string") put(root, path, { kind: "link", target: content });
    else put(root, path, { kind: "file", source: content, sizeBytes: content.length });
  }
  return root;
}

describe("the samples of the existing tool", () => {
  test.each(["root", "volume"])("%s: metadata are read and written to the same bytes", async (name) => {
    const bytes = await sampleOf(name);
    const { tfs } = await readAll(await fileOf(bytes));
    for (const { sector, bytes: extent } of encodeLog(encodeTuple(tfs.root), tfs, 0).extents) {
      const at = sector * SECTOR_BYTES;
      expect(extent.equals(bytes.subarray(at, at + extent.length))).toBe(true);
    }
  });

  test("root: holds what samples.json says", async () => {
    const { tfs, contents } = await readAll(await fileOf(await sampleOf("root")));
    for (const [path, file] of Object.entries(samples.files)) {
      const content = contents.get(path) as Buffer;
      if ("link" in file) expect(content).toBe(file.link);
      else {
        expect(content.length).toBe(file.bytes);
        expect(createHash("sha256").update(content).digest("hex")).toBe(file.sha256);
      }
    }
    expect((contents.get("/tiny") as Buffer).toString("hex")).toBe(samples.program_hex);
    expect(nanosInfo(tfs, 0)).toMatchObject({
      program: "/tiny",
      args: ["tiny", ...samples.manifest.Args],
      env: { ...samples.manifest.Env, USER: "root", PWD: "/", OPS_VERSION: "", IMAGE_NAME: "tinyimg" },
      mounts: { "%0": "/workspace" },
      flags: { readonly_rootfs: "true" },
      encoding: 5,
    });
  });

  test("volume: its label, its UUID and its files", async () => {
    const { tfs, contents } = await readAll(await fileOf(await sampleOf("volume")));
    const info = nanosInfo(tfs, 0);
    expect(`${info.label}:${info.uuid}.raw`).toBe(samples.volume_name);
    expect(info.program).toBeNull();
    for (const [path, content] of contents) {
      if (Buffer.isBuffer(content)) {
        const file = samples.files[`/data${path}` as keyof typeof samples.files];
        expect(createHash("sha256").update(content).digest("hex")).toBe((file as { sha256: string }).sha256);
      }
    }
    expect(contents.size).toBe(6);
  });

  test.each(["root", "volume"])("%s: written anew it holds the same, at the same places", async (name) => {
    const sample = await sampleOf(name);
    const { tfs, contents } = await readAll(await fileOf(sample));
    const attributes = new Map([...tfs.root].filter(([key]) => key !== "children"));
    const options = { root: treeOf(contents), attributes, label: tfs.label, uuid: tfs.uuid };
    const { path, bytes } = await write({ ...options, sizeBytes: sample.length });
    const again = await readAll(path);
    expect(again.contents).toEqual(contents);
    expect(again.tfs.entries).toEqual(tfs.entries);
    expect(Object.fromEntries(again.tfs.root)).toEqual(Object.fromEntries(tfs.root));
    const data = 1025 * SECTOR_BYTES;
    expect(bytes.subarray(data).equals(sample.subarray(data))).toBe(true);
    expect(bytes.length).toBe(sample.length);
  });

  test("the partition table is the one that the existing tool wrote", () => {
    const start = 430;
    const wanted = Buffer.from(samples.sector_0_from_byte_430, "hex");
    const loader = Buffer.alloc(97 * SECTOR_BYTES);
    wanted.copy(loader, start, 0, 16);
    loader.set([0x55, 0xaa], 510);
    const { boot, root } = samples.partitions;
    const region = ({ start: at, sectors }: typeof boot) => ({
      offset: at * SECTOR_BYTES,
      length: sectors * SECTOR_BYTES,
    });
    expect(bootOffset(loader)).toBe(region(boot).offset);
    const sector = firstSector(loader, [region(boot), region(root)]);
    expect(sector.subarray(start).toString("hex")).toBe(wanted.toString("hex"));
    const sizeBytes = region(root).offset + region(root).length;
    expect(readLayout(sector, sizeBytes)).toEqual({ boot: region(boot), root: region(root) });
  });
});

describe("round trips", () => {
  const name = fc
    .string({ minLength: 1, maxLength: 12, unit: "grapheme" })
    .filter((text) => !/[/\0]/.test(text) && text !== "." && text !== "..");
  const node: fc.Arbitrary<TfsFolder> = fc.letrec((tie) => ({
    folder: fc.array(fc.tuple(name, tie("node")), { maxLength: 5 }).map((entries) => ({
      kind: "directory" as const,
      children: new Map(entries as [string, TfsFolder][]),
    })),
    node: fc.oneof(
      { maxDepth: 4 },
      fc.uint8Array({ maxLength: 1500 }).map((data) => {
        const source = Buffer.from(data);
        return { kind: "file" as const, source, sizeBytes: source.length };
      }),
      fc.string({ minLength: 1 }).map((target) => ({ kind: "link" as const, target })),
      tie("folder"),
    ),
  })).folder as fc.Arbitrary<TfsFolder>;

  test("any tree", async () => {
    await fc.assert(
      fc.asyncProperty(node, async (root) => {
        const { path } = await write({ root, label: "a label" });
        const { contents, tfs } = await readAll(path);
        expect(tfs.label).toBe("a label");
        const wanted = new Map<string, Buffer | string | null>();
        const flatten = (folder: TfsFolder, at: string): void => {
          for (const [key, child] of folder.children) {
            if (child.kind === "file") wanted.set(`${at}/${key}`, child.source as Buffer);
            else wanted.set(`${at}/${key}`, child.kind === "link" ? child.target : null);
            if (child.kind === "directory") flatten(child, `${at}/${key}`);
          }
        };
        flatten(root, "");
        expect(contents).toEqual(wanted);
        await rm(path);
      }),
      { numRuns: 30 },
    );
  });

  test("metadata of several log extents, and a large file that is mostly zeros", async () => {
    const root = newFolder();
    for (let index = 0; index < 20_000; index++) {
      const source = Buffer.from(`${index}`);
      put(root, `/d${index % 7}/file-${index}`, { kind: "file", source, sizeBytes: source.length });
    }
    const source = join(folder, "large");
    const large = await open(source, "wx");
    await large.write(Buffer.from("end"), 0, 3, 40_000_000);
    await large.close();
    put(root, "/large", { kind: "file", source, sizeBytes: 40_000_003 });
    const { path } = await write({ root });
    const { contents } = await readAll(path);
    expect(contents.size).toBe(20_008);
    expect((contents.get("/d3/file-19995") as Buffer).toString()).toBe("19995");
    const content = contents.get("/large") as Buffer;
    expect(content.length).toBe(40_000_003);
    expect(content.subarray(40_000_000).toString()).toBe("end");
  });

  test("the same content makes the same bytes, another content another UUID", async () => {
    const tree = (text: string) => treeOf(new Map([["/a/b", Buffer.from(text)]]));
    const [one, two, other] = [
      await write({ root: tree("x") }),
      await write({ root: tree("x") }),
      await write({ root: tree("y") }),
    ];
    expect(one.bytes.equals(two.bytes)).toBe(true);
    expect((await readAll(one.path)).tfs.uuid).not.toEqual((await readAll(other.path)).tfs.uuid);
  });

  test("a size that is too small is refused", async () => {
    const root = treeOf(new Map([["/a", Buffer.alloc(10_000)]]));
    await expect(write({ root, sizeBytes: 1024 * 1024 })).resolves.toBeDefined();
    await expect(write({ root, sizeBytes: 512 * 1024 })).rejects.toMatchObject({ code: "TFS_TOO_SMALL" });
  });

  test("a file that is no longer as long as it was is refused", async () => {
    const source = join(folder, "short");
    await writeFile(source, "abc");
    for (const sizeBytes of [2, 4]) {
      const root = newFolder();
      put(root, "/f", { kind: "file", source, sizeBytes });
      await expect(write({ root })).rejects.toMatchObject({ code: "TFS_SOURCE_CHANGED" });
    }
  });
});

/** A log in one extent, with these records. */
function rawTfs(records: readonly Buffer[], version = 5): Buffer {
  const bytes = Buffer.alloc(2 * SECTOR_BYTES);
  Buffer.concat([
    Buffer.from("NVMTFS"),
    Buffer.of(version, 1),
    Buffer.alloc(16, 7),
    Buffer.from("L\0"),
    ...records,
  ]).copy(bytes);
  return bytes;
}
const record = (tuple: Buffer) =>
  Buffer.concat([Buffer.of(2), encodeVarint(tuple.length), encodeVarint(tuple.length), tuple]);
const END = Buffer.of(1);
const text = (value: string) => Buffer.from(value, "latin1");

test("the old encoding is read, and what a running guest appended to the log", async () => {
  const root = text(
    "\xc2\x88children\xc2\x81a\xc1\x8alinktarget\x81b\x81d\xc1\x02\xc0\x89arguments\xc2\x810\x83run\x811\x80",
  );
  // Number 1 is the root, 2 "children", 3 its tuple, 4 "a", 5 its tuple, 6 "linktarget", 7 "d", 8 its tuple, 9 its children.
  const changes = [text("\x41\x03\x04\x80"), text("\x41\x09\x81e\xc1\x06\x81x")];
  const bytes = rawTfs([record(root), ...changes.map(record), END], 4);
  const { tfs, contents } = await readAll(await fileOf(bytes));
  expect([...contents]).toEqual([
    ["/d", null],
    ["/d/e", "x"],
  ]);
  expect(nanosInfo(tfs, 0)).toMatchObject({ encoding: 4, label: "L", args: ["run", ""] });
});

const tupleOf = (fields: Record<string, TfsValue>): TfsTuple => new Map(Object.entries(fields));
const rootWith = (children: TfsTuple) => record(encodeTuple(tupleOf({ children })));
const fileWith = (extents: TfsValue, filelength = "1") =>
  rootWith(tupleOf({ f: tupleOf({ filelength, extents }) }));
const extent = (offset: string, length: string) => tupleOf({ offset, length, allocated: length });
const selfish: TfsTuple = new Map();
selfish.set("children", tupleOf({ again: selfish }));
const deep = Buffer.concat([...Array.from({ length: 100_000 }, () => text("\x91\x81a")), text("\xc0")]);

test.each<[string, Buffer, RegExp]>([
  ["nothing", Buffer.alloc(0), /partition table/],
  ["zeros", Buffer.alloc(4096), /partition table/],
  ["a text", Buffer.from("hello".repeat(300)), /partition table/],
  [
    "a partition table without partitions",
    (() => {
      const sector = Buffer.alloc(512);
      sector.set([0x55, 0xaa], 510);
      return sector;
    })(),
    /partitions are not those of Nanos/,
  ],
  ["another version", rawTfs([END], 6), /version is 6/],
  ["no tuple", rawTfs([END]), /no root/],
  ["a text at the root", rawTfs([record(text("\xc1a")), END]), /no tuple at its root/],
  ["an unknown record", rawTfs([Buffer.of(9)]), /unknown record 9/],
  ["a log without end", rawTfs([Buffer.alloc(SECTOR_BYTES, 4)]), /cut off|unknown record/],
  ["a log that leads to itself", rawTfs([text("\x05\x00\x01")]), /back to itself/],
  ["a log that leads outside", rawTfs([text("\x05\x84\x00\x88\x00")]), /outside/],
  ["a log extent of no length", rawTfs([text("\x05\x01\x00")]), /0 sectors/],
  ["a log extent of any length", rawTfs([text("\x05\x01\xff\xff\x7f")]), /2097151 sectors/],
  ["a huge tuple", rawTfs([text("\x02\xff\xff\xff\xff\xff\x7f\x01a")]), /metadata has/],
  ["a number without end", rawTfs([text(`\x02${"\xff".repeat(40)}`)]), /too large/],
  ["a part longer than its tuple", rawTfs([text("\x02\x01\x05abcde")]), /longer than the tuple/],
  ["a tuple within another", rawTfs([text("\x02\x05\x01a\x02\x01\x01b")]), /within another/],
  ["a tuple that does not end", rawTfs([text("\x02\x05\x01a"), END]), /ends within a tuple/],
  ["a count without entries", rawTfs([record(text("\x9f\xff\xff\x7f\x81a")), END]), /cut off/],
  ["a text without end", rawTfs([record(text("\x91\x81a\xcf\xff\x7f")), END]), /cut off/],
  ["a name that refers to nothing", rawTfs([record(text("\x91\x05\xc1a")), END]), /refers to number 5/],
  ["a name that refers to a tuple", rawTfs([record(text("\x91\x01\xc1a")), END]), /refers to a tuple/],
  ["a name that is a tuple", rawTfs([record(text("\x91\x90\xc1a")), END]), /no symbol/],
  ["a tuple that refers to a name", rawTfs([record(text("\x91\x81a\x10\x02")), END]), /something else/],
  ["a value of no known type", rawTfs([record(text("\x91\x81a\xf0")), END]), /unknown type 7/],
  ["bytes after a tuple", rawTfs([record(text("\x90\x90")), END]), /after a tuple/],
  ["a folder within itself", rawTfs([record(encodeTuple(selfish)), END]), /holds itself/],
  ["children that are none", rawTfs([record(encodeTuple(tupleOf({ children: "x" }))), END]), /no folder/],
  ["a file that is a text", rawTfs([rootWith(tupleOf({ f: "x" })), END]), /neither file/],
  ["a name with a slash", rawTfs([rootWith(tupleOf({ "a/b": tupleOf({}) })), END]), /the name "a\/b"/],
  ["a name that is empty", rawTfs([rootWith(tupleOf({ "": tupleOf({}) })), END]), /the name ""/],
  ["data outside", rawTfs([fileWith(tupleOf({ "0": extent("1", "2") })), END]), /outside of the file system/],
  ["an offset that is no number", rawTfs([fileWith(tupleOf({ "0": extent("-1", "1") })), END]), /no number/],
  ["a length that is too large", rawTfs([fileWith(tupleOf({}), "9".repeat(30)), END]), /no number/],
  [
    "extents that overlap",
    rawTfs([fileWith(tupleOf({ "0": extent("0", "2"), "1": extent("0", "1") }), "1024"), END]),
    /overlap/,
  ],
])("refuses %s", async (_, bytes, reason) => {
  const path = await fileOf(bytes);
  const error = await openNanos(path).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!isGevulotError(error, "IMAGE_INVALID")) throw error ?? new Error("it was taken");
  expect(error.context.path).toBe(path);
  expect(error.context.reason).toMatch(reason);
});

test("refuses what is nested without end, in little time", async () => {
  const { extents } = encodeLog(deep, { uuid: Buffer.alloc(16), label: "" }, 1025);
  const path = await fileOf(Buffer.concat(extents.map(({ bytes }) => bytes)));
  await expect(openNanos(path)).rejects.toThrow(/nested more than 256/);
});

test("folders that hold each other many times over are counted, not followed for ever", async () => {
  let folderOf: TfsTuple = tupleOf({ children: new Map() });
  for (let level = 0; level < 40; level++)
    folderOf = tupleOf({ children: tupleOf({ a: folderOf, b: folderOf }) });
  await expect(openNanos(await fileOf(rawTfs([record(encodeTuple(folderOf)), END])))).rejects.toThrow(
    /more than 1000000 files/,
  );
});

test("any damage to the metadata is either read or refused", async () => {
  const sample = (await sampleOf("volume")).subarray(0, 700_000);
  const places = fc.oneof(fc.nat(30), fc.integer({ min: 512, max: 760 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(places, fc.nat(255)), { minLength: 1, maxLength: 4 }),
      async (damage) => {
        const bytes = Buffer.from(sample);
        for (const [at, value] of damage) bytes[at] = value;
        const path = await fileOf(bytes);
        try {
          await using file = await openNanos(path);
          nanosInfo(file.root, 0);
        } catch (error) {
          if (!isGevulotError(error, "IMAGE_INVALID")) throw error;
        } finally {
          await rm(path);
        }
      },
    ),
    { numRuns: 200 },
  );
});
