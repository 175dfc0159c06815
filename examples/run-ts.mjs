/**
 * Lets Node.js run the examples' TypeScript as it stands: `node --import ./examples/run-ts.mjs app.ts`.
 * Newer versions of Node.js can do that alone; version 20 can't.
 */
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { transform } from "esbuild";

// Node.js loads this file once more, in the thread that serves the hook below.
if (isMainThread) register(import.meta.url);

export async function load(url, context, nextLoad) {
  if (!url.endsWith(".ts")) return nextLoad(url, context);
  const text = await readFile(fileURLToPath(url), "utf8");
  const { code } = await transform(text, {
    loader: "ts",
    format: "esm",
    target: "node20",
    sourcemap: "inline",
  });
  return { format: "module", source: code, shortCircuit: true };
}
