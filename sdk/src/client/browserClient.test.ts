import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { generateKey } from "../browser.ts";
import { browserPlatform } from "../context/browserPlatform.ts";
import { checksumBytes } from "../context/checksumBytes.ts";
import { nodePlatform } from "../node/nodePlatform.ts";
import { GevulotClient } from "./browserClient.ts";

test("hashes as on Node.js", async () => {
  const bytes = crypto.getRandomValues(new Uint8Array(50_000));
  const hash = await checksumBytes(browserPlatform, bytes);
  expect(hash).toBe(await checksumBytes(nodePlatform, bytes));
});

test("says what needs Node.js", async () => {
  expect(() => new GevulotClient({ keyFile: "key" })).toThrow(
    expect.objectContaining({ code: "NEEDS_NODE" }),
  );
  const client = new GevulotClient({ key: generateKey() });
  const verifier = { url: "http://a/v.img", checksum: "00".repeat(32) };
  const deploy = client.deploy({ name: "", prover: { file: "p.img" }, verifier });
  await expect(deploy).rejects.toMatchObject({ code: "NEEDS_NODE", message: expect.stringContaining("URL") });
});

/** Measured: 61 kB minified, of which @noble 20. */
const MAX_BUNDLE_BYTES = 66_000;

test("a page loads our own code and @noble, and nothing of Node.js; hash-wasm and the rest when they are wanted", async () => {
  const { metafile } = await build({
    entryPoints: [fileURLToPath(new URL("../browser.ts", import.meta.url))],
    bundle: true,
    minify: true,
    splitting: true,
    format: "esm",
    platform: "browser",
    outdir: "out",
    write: false,
    metafile: true,
    logLevel: "silent",
  });
  const entry = Object.entries(metafile.outputs).find(([, output]) =>
    output.entryPoint?.endsWith("browser.ts"),
  );
  const loaded = new Set<string>();
  const later = new Set<string>();
  const load = (output: (typeof metafile.outputs)[string], path: string): void => {
    if (loaded.has(path)) return;
    loaded.add(path);
    for (const { kind, path: next } of output.imports) {
      if (kind === "import-statement") load(metafile.outputs[next]!, next);
      else later.add(next);
    }
  };
  load(entry![1], entry![0]);
  const atOnce = [...loaded].map((path) => [path, metafile.outputs[path]!] as const);
  const inputs = atOnce.flatMap(([, output]) => Object.keys(output.inputs));
  const packages = inputs.map((path) => /node_modules\/(@[^/]+|[^/]+)/.exec(path)?.[1] ?? "ours");
  expect([...new Set(packages)].sort()).toEqual(["@noble", "ours"]);
  expect([...later].map((path) => /(index\.esm|later)/.exec(path)?.[1]).sort()).toEqual([
    "index.esm",
    "later",
  ]);
  const size = atOnce.reduce((sum, [, output]) => sum + output.bytes, 0);
  expect(size).toBeLessThan(MAX_BUNDLE_BYTES);
});
