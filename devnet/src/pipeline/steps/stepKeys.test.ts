import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createStepKeys, parseKey } from "./stepKeys.ts";

const HASH = "ab".repeat(32);
let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "gevulot-keys-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

it.each([
  ["/keys/a", { path: "/keys/a", sha256: null }],
  [`/keys/a#sha256=${HASH}`, { path: "/keys/a", sha256: HASH }],
  [`sha256:${HASH}`, { path: null, sha256: HASH }],
  ["sha256:ab", null],
  [`/keys/a#sha256=${HASH}0`, null],
])("reads the key %s", (text, expected) => {
  expect(parseKey(text)).toEqual(expected);
});

describe("createStepKeys", () => {
  it("puts keys into a step's inputs, in their order", async () => {
    const file = join(dir, "proving.key");
    await writeFile(file, "a key");
    const sha256 = createHash("sha256").update("a key").digest("hex");
    const keys = await createStepKeys([`${file}#sha256=${sha256}`, `sha256:${HASH}`]);
    await keys.place(join(dir, "in"), (hash, to) => {
      expect(hash).toBe(HASH);
      return copyFile(file, to);
    });
    expect(await readFile(join(dir, "in/keys/0"), "utf8")).toBe("a key");
    expect(await readFile(join(dir, "in/keys/1"), "utf8")).toBe("a key");
  });

  it("takes a folder, as the published samples name one", async () => {
    await mkdir(join(dir, "keys"));
    await writeFile(join(dir, "keys", "a"), "a key");
    const keys = await createStepKeys([join(dir, "keys")]);
    await keys.place(join(dir, "in"), () => Promise.reject(new Error("not asked")));
    expect(await readFile(join(dir, "in/keys/0/a"), "utf8")).toBe("a key");
  });

  it.each([
    ["no file", "nowhere", /nowhere of proving_key_paths is not there\. Mend the path/],
    ["a folder with a hash", `.#sha256=${HASH}`, /has a SHA-256, and is not a file/],
    ["another file", `wrong#sha256=${HASH}`, /wrong has the SHA-256 [0-9a-f]{64} instead of abab/],
  ])("refuses %s", async (_, name, message) => {
    await writeFile(join(dir, "wrong"), "");
    await expect(createStepKeys([join(dir, name)])).rejects.toMatchObject({
      code: "PIPELINE_KEY",
      message: expect.stringMatching(message),
    });
  });
});
