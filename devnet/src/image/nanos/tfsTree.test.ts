import { expect, test } from "vitest";
import { encodeVarint } from "./cursor.ts";
import { encodeTuple } from "./encodeTuple.ts";
import { nanosInfo } from "./nanosInfo.ts";
import { listTfs } from "./tfsTree.ts";
import type { TfsTuple, TfsValue, TfsVector } from "./tfsValue.ts";
import { createTupleDecoder } from "./tupleDecoder.ts";

const tupleOf = (fields: Record<string, TfsValue>): TfsTuple => new Map(Object.entries(fields));

test("refuses more values than memory is good for, each of them a byte", { timeout: 60_000 }, () => {
  const head = Buffer.concat([Buffer.from("\x91\x81a\xa8", "latin1"), encodeVarint(5_000_000)]);
  const bytes = Buffer.concat([head, Buffer.alloc(5_000_000, 0x90)]);
  expect(() => createTupleDecoder(5).push(bytes)).toThrow(/more than 4000000 values/);
});

/** One list of so many empty tuples, in an attribute or among the files. */
function manyTuples(count: number, ...names: string[]): Buffer {
  const symbol = (name: string) => Buffer.from(`\x88${String.fromCharCode(name.length)}${name}`, "latin1");
  const path = names.flatMap((name, at) => [
    symbol(name),
    at < names.length - 1 ? Buffer.of(0x91) : Buffer.of(0xa8),
  ]);
  return Buffer.concat([Buffer.of(0x91), ...path, encodeVarint(count), Buffer.alloc(count, 0x90)]);
}

test("of a stranger's image only its attributes are kept, and few", () => {
  const attributes = createTupleDecoder(5, []);
  expect(() => attributes.push(manyTuples(1_000_000, "trace"))).toThrow(
    /attributes have more than 100000 values/,
  );
  const files = createTupleDecoder(5, []);
  files.push(manyTuples(900_000, "children", "f", "x"));
  expect(files.root).toEqual(tupleOf({ children: new Map() }));
  expect(() => files.push(manyTuples(200_000, "children", "f", "x"))).toThrow(/more than 1000000 values/);
});

test("one file is kept with what is on its way to it, and later changes of it", () => {
  const file = (length: string) => tupleOf({ filelength: length });
  const folder = (children: Record<string, TfsValue>) => tupleOf({ children: tupleOf(children) });
  const root = folder({ a: folder({ x: file("1"), y: file("2") }), b: folder({ x: file("3") }) });
  root.set("program", "/a/x");
  const read = (...only: string[]) => {
    const decoder = createTupleDecoder(5, only);
    decoder.push(encodeTuple(root));
    return decoder.root;
  };
  expect(read()).toEqual(tupleOf({ children: new Map(), program: "/a/x" }));
  const kept = folder({ a: folder({ x: file("1") }) });
  expect(read("a", "x")).toEqual(new Map([...kept, ["program", "/a/x"]]));
  expect(read("a", "z")).toEqual(new Map([...folder({ a: folder({}) }), ["program", "/a/x"]]));
});

test("refuses files that share their data, which make much of little", () => {
  const shared = tupleOf({
    filelength: "4096",
    extents: tupleOf({ "0": tupleOf({ offset: "0", length: "8" }) }),
  });
  const children: TfsTuple = new Map(Array.from({ length: 3 }, (_, at) => [`f${at}`, shared]));
  expect(listTfs(tupleOf({ children }), 3 * 4096)).toHaveLength(3);
  expect(() => listTfs(tupleOf({ children }), 2 * 4096)).toThrow(/its files share data/);
});

test("refuses a list of extents that very many files share", () => {
  const extents: TfsTuple = new Map();
  for (let at = 0; at < 5_000; at++) extents.set(String(at), tupleOf({ offset: "1", length: "1" }));
  const shared = tupleOf({ filelength: "1", extents });
  const children: TfsTuple = new Map(Array.from({ length: 2_000 }, (_, at) => [`f${at}`, shared]));
  expect(() => listTfs(tupleOf({ children }), 2 ** 20)).toThrow(/more than 4000000 extents/);
});

test("a list that holds itself many times is shown in part", () => {
  const selfish: TfsVector = ["x"];
  for (let at = 0; at < 100; at++) selfish.push(selfish);
  const tfs = {
    root: tupleOf({ trace: selfish, debug: "t" }),
    version: 5,
    label: "",
    uuid: Buffer.alloc(16),
  } as const;
  const info = nanosInfo({ ...tfs, region: { offset: 0, length: 0 }, entries: [] }, 0);
  expect(info.flags).toMatchObject({ debug: "t", trace: expect.arrayContaining(["x"]) });
  expect(JSON.stringify(info).length).toBeLessThan(100_000);
});
