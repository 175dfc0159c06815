import { createHash } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readImageResources } from "./imageResources.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-resources-"));
});
afterAll(() => rm(folder, { recursive: true }));

/** An image with a sound descriptor of this text. */
async function imageWith(json: string, length = Buffer.byteLength(json)): Promise<string> {
  const header = Buffer.alloc(56);
  header.write("GEVULOT-IMAGE\0\0\0", "latin1");
  header.writeUInt32LE(length, 20);
  createHash("sha256").update(json).digest().copy(header, 24);
  const path = join(folder, "image");
  await writeFile(path, Buffer.concat([Buffer.alloc(4096), header, Buffer.from(json)]));
  return path;
}

test("what an image asks for", async () => {
  const path = await imageWith('{"resources":{"memMib":512,"cpus":2,"gpus":0}}');
  expect(await readImageResources(path)).toEqual({ memMib: 512, cpus: 2, gpus: 0 });
});

test.each([
  ["no JSON", "{"],
  ["null", "null"],
  ["a text", '"x"'],
  ["an array", "[]"],
  ["resources that are null", '{"resources":null}'],
  ["resources that are a number", '{"resources":7}'],
  ["odd values", '{"resources":{"memMib":-1,"cpus":"2","gpus":1e99,"__proto__":{"memMib":5}}}'],
  ["nothing", ""],
])("an image that says %s asks for nothing", async (_, json) => {
  expect(await readImageResources(await imageWith(json))).toEqual({});
});

test("a length beyond the file asks for nothing", async () => {
  expect(await readImageResources(await imageWith("{}", 0xffffffff))).toEqual({});
});
