import { expect, test } from "vitest";
import { encodeVarint } from "./cursor.ts";
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
