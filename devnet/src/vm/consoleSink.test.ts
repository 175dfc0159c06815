import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createConsoleSink } from "./consoleSink.ts";

let dir = "";
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-console-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

async function written(limitBytes: number, chunks: readonly string[]): Promise<string> {
  const path = join(dir, "stdout.log");
  const sink = await createConsoleSink({ path, limitBytes });
  for (const chunk of chunks) sink.write(Buffer.from(chunk));
  expect(await sink.close()).toBeNull();
  return readFile(path, "utf8");
}

test("a short console is kept as it is", async () => {
  expect(await written(1_000, ["a\n", "b\n"])).toBe("a\nb\n");
  expect(await written(1_000, [])).toBe("");
});

test("up to the limit, nothing is left out", async () => {
  const text = "x".repeat(1_000 - 64);
  expect(await written(1_000, [text])).toBe(text);
});

test("of a flood the head and the tail stay, and a mark says how much is missing", async () => {
  const lines = Array.from({ length: 10_000 }, (_, index) => `line ${index}\n`);
  const text = await written(1_000, lines);
  expect(text.length).toBeLessThanOrEqual(1_000);
  expect(text.startsWith("line 0\nline 1\n")).toBe(true);
  expect(text.endsWith("line 9998\nline 9999\n")).toBe(true);
  const [mark, leftOut] = /\n\[(\d+) bytes of the console left out\]\n/.exec(text) ?? [];
  expect(text.length - (mark?.length ?? 0) + Number(leftOut)).toBe(lines.join("").length);
});

test("a flood of gigabytes takes neither the disk nor the memory", async () => {
  const path = join(dir, "flood.log");
  const sink = await createConsoleSink({ path, limitBytes: 65_536 });
  const chunk = Buffer.alloc(2 ** 20, "c");
  const before = process.memoryUsage().rss;
  for (let count = 0; count < 2_048; count++) sink.write(chunk);
  expect(process.memoryUsage().rss - before).toBeLessThan(128 * 2 ** 20);
  expect(await sink.close()).toBeNull();
  const text = await readFile(path, "latin1");
  expect(text.length).toBeLessThanOrEqual(65_536);
  expect(text).toContain(`${2 ** 31 - 65_536 + 64}`.slice(0, 5));
});

test("one chunk larger than everything", async () => {
  const text = await written(200, [`a${"-".repeat(5_000)}z`]);
  expect(text.length).toBeLessThanOrEqual(200);
  expect(text).toMatch(/^a-.*left out.*-z$/s);
});

test("the tail in memory is the last 4 KiB", async () => {
  const sink = await createConsoleSink({ path: join(dir, "tail.log"), limitBytes: 100 });
  sink.write(Buffer.from("y".repeat(10_000)));
  sink.write(Buffer.from("end"));
  expect(sink.tail()).toBe(`${"y".repeat(4_093)}end`);
  await sink.close();
});

test.skipIf(process.platform !== "linux")("a full disk is told at the end, and blocks nobody", async () => {
  const sink = await createConsoleSink({ path: "/dev/full", limitBytes: 1_000 });
  sink.write(Buffer.from("lost"));
  expect(await sink.close()).toMatchObject({ code: "ENOSPC" });
  expect(sink.tail()).toBe("lost");
});

test("a file that can't be made is an error at once", async () => {
  const path = join(dir, "missing", "stdout.log");
  await expect(createConsoleSink({ path, limitBytes: 10 })).rejects.toMatchObject({ code: "ENOENT" });
});
