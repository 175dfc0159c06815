import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createKeyFile, readKeyFile } from "./keyFile.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "key-file-"));
});
afterEach(() => rm(folder, { recursive: true }));

test("a new key file has the 32 bytes and nothing else, for its owner only, and reads back", async () => {
  const path = join(folder, "deep", "er", "localkey.pki");
  const key = await createKeyFile(path);
  expect(new Uint8Array(await readFile(path))).toEqual(key);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readKeyFile(path)).toEqual(key);
});

test("an existing file is never overwritten", async () => {
  const path = join(folder, "key");
  await writeFile(path, "mine");
  await expect(createKeyFile(path)).rejects.toMatchObject({ code: "KEY_FILE_EXISTS", context: { path } });
  expect(await readFile(path, "utf8")).toBe("mine");
});

test("a place that can't be written to is said so, also where the system contradicts itself", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  for (const path of [join(file, "key"), "/proc/none/deeper/key"])
    await expect(createKeyFile(path)).rejects.toMatchObject({
      code: "KEY_FILE_NOT_WRITTEN",
      context: { path },
    });
  const deep = join(folder, "a/b/c/key");
  expect(await createKeyFile(deep)).toEqual(await readKeyFile(deep));
});

test("of many at once, one makes the file", async () => {
  const path = join(folder, "key");
  const made = await Promise.allSettled(Array.from({ length: 8 }, () => createKeyFile(path)));
  const keys = made.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  expect(keys).toHaveLength(1);
  expect(await readKeyFile(path)).toEqual(keys[0]);
});

test.each<[string, Uint8Array | null, string]>([
  ["missing", null, "KEY_FILE_MISSING"],
  ["empty", new Uint8Array(), "KEY_FILE_INVALID"],
  ["a byte too long", new Uint8Array(33).fill(1), "KEY_FILE_INVALID"],
  ["hex", Buffer.from("01".repeat(32)), "KEY_FILE_INVALID"],
  ["no key of the curve", new Uint8Array(32).fill(255), "KEY_FILE_INVALID"],
])("a key file that is %s", async (_, content, code) => {
  const path = join(folder, "key");
  if (content !== null) await writeFile(path, content);
  await expect(readKeyFile(path)).rejects.toMatchObject({ code, message: expect.stringContaining(path) });
});
