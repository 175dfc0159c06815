import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { findConfig, loadConfig } from "./config.ts";

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "config-"));
});
afterEach(() => rm(dir, { recursive: true }));

test.each([
  ["gevulot.config.ts", 'const nodes: number = 2;\nexport default { nodes, volumesDirectory: "vols" };'],
  ["gevulot.config.mjs", 'export default { nodes: 2, volumesDirectory: "vols" };'],
  ["gevulot.config.json", '{ "nodes": 2, "volumesDirectory": "vols" }'],
])("%s is found and read", async (name, text) => {
  await writeFile(join(dir, name), text);
  const path = findConfig(dir)!;
  expect(path).toBe(join(dir, name));
  expect(await loadConfig(path)).toEqual({ nodes: 2, volumesDirectory: join(dir, "vols") });
});

test("a file that changed is read anew", async () => {
  const path = join(dir, "gevulot.config.ts");
  for (const nodes of [1, 4]) {
    await writeFile(path, `export default { nodes: ${nodes} }`);
    expect(await loadConfig(path)).toEqual({ nodes });
  }
});

test.each([
  ["export default { nodes: 0 }", /nodes: .*1/],
  ["export default { node: 3 }", /"node"/],
  ["export default { ports: { rcp: 1 } }", /ports: .*"rcp"/],
  ['export default { provider: "docker" }', /provider: /],
  ['export default { join: "here" }', /join: is no host:port/],
  ["export const node = 3", /"node".*defineConfig/],
  ["export default {", /can't be loaded/],
  ['import x from "no-such-package"; export default x', /can't be loaded.*no-such-package/],
])("%s is refused with what is wrong", async (text, message) => {
  const path = join(dir, "gevulot.config.ts");
  await writeFile(path, text);
  await expect(loadConfig(path)).rejects.toMatchObject({
    code: "DEVNET_CONFIG",
    message: expect.stringMatching(message),
  });
  await expect(loadConfig(path)).rejects.toThrow(path);
});

test("a file that is not there", async () => {
  expect(findConfig(dir)).toBeUndefined();
  await expect(loadConfig(join(dir, "x.ts"))).rejects.toMatchObject({ code: "DEVNET_CONFIG" });
});
