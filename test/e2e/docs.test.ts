import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { runCli } from "../fixtures/cli.ts";
import { fencedBlocks } from "../fixtures/markdown.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const BLOCK_TIMEOUT_MS = 120_000;
let dir: string;

/** A folder in the clone, so that its packages are found, but not the developer's own devnet. */
beforeAll(() => {
  mkdirSync(join(root, ".cache"), { recursive: true });
  dir = mkdtempSync(join(root, ".cache", "docs-"));
  symlinkSync(join(root, "examples"), join(dir, "examples"));
});
afterEach(() => runCli("gevulot-devnet", ["down"], { cwd: dir }));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Does what a page says, in order: writes its files, runs its commands. Gives all that they print. */
function follow(page: string): { output: string; promised: string[] } {
  const blocks = fencedBlocks(readFileSync(join(root, "docs", page), "utf8"));
  let output = "";
  for (const { language, file, text } of blocks) {
    if (file !== "") {
      mkdirSync(dirname(join(dir, file)), { recursive: true });
      writeFileSync(join(dir, file), withPort(text));
    } else if (language === "sh") {
      // tsx keeps a cache there.
      const env = { ...process.env, TMPDIR: dir };
      const options = { cwd: dir, env, encoding: "utf8", timeout: BLOCK_TIMEOUT_MS } as const;
      const result = spawnSync("bash", ["-eu", "-c", text], options);
      output += result.stdout + result.stderr;
      if (result.status !== 0) throw new Error(`${text}\nended with ${result.status}:\n${output}`);
    }
  }
  const promised = blocks
    .filter(({ language }) => language === "text")
    .flatMap(({ text }) => text.trim().split("\n"));
  return { output, promised };
}

/** The page says: if the port is taken, put the one that was printed into the app. */
function withPort(text: string): string {
  if (!text.includes("http://127.0.0.1:9944")) return text;
  const { data } = JSON.parse(readFileSync(join(dir, ".gevulot/devnet/devnet.json"), "utf8"));
  return text.replace("http://127.0.0.1:9944", data.nodes[0].rpcUrl);
}

describe("the getting-started pages, followed as they stand", () => {
  test.each(["getting-started-app.md", "getting-started-prover.md"])("%s", (page) => {
    const { output, promised } = follow(page);
    expect(promised.length).toBeGreaterThan(2);
    for (const line of promised) expect(output).toContain(line.replace(/^(run [0-9a-f]{4})…$/, "run "));
  });
});
