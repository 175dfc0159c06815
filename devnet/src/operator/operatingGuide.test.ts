import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { createMetrics } from "../observe/metrics.ts";
import { NODE_OPTIONS } from "../options.ts";

const PAGE = fileURLToPath(new URL("../../../docs/operating.md", import.meta.url));
const page = readFileSync(PAGE, "utf8");
const all = (pattern: RegExp) => [...new Set([...page.matchAll(pattern)].map(([, name = ""]) => name))];

test("the variables are the node's", () => {
  const named = all(/\b(GEVULOT_[A-Z0-9_]+)/g);
  expect(named.length).toBeGreaterThan(8);
  expect(NODE_OPTIONS.map(({ variable }) => variable)).toEqual(expect.arrayContaining(named));
});

test("the metrics are the node's, and none is missing", async () => {
  const text = await createMetrics().text();
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name = ""]) => name);
  for (const name of all(/`((?:gevulot_[a-z]+|p2p|rpc|tx)_[a-z_]+)(?:\{[a-z,]+\})?`/g))
    expect(names).toContain(name);
  const unmentioned = names.filter((name) => !page.includes(name.replace(/_total$/, "_available")));
  expect(unmentioned).toEqual(["p2p_protocol_version"]);
});

test("the pages that it leads to are there", () => {
  const links = all(/\]\((?!https?:)([^)#]+)\)/g);
  expect(links.length).toBeGreaterThan(2);
  for (const link of links) expect(existsSync(join(dirname(PAGE), link)), link).toBe(true);
});

test("systemd takes the unit of a node without containers", async (context) => {
  if (!existsSync("/usr/bin/systemd-analyze")) context.skip("no systemd-analyze here");
  const [, unit = ""] = /```ini\n([\s\S]*?)```/.exec(page) ?? [];
  const dir = await mkdtemp(join(tmpdir(), "unit-"));
  try {
    const path = join(dir, "gevulot-node.service");
    await writeFile(path, unit);
    const { stderr } = await promisify(execFile)("systemd-analyze", ["verify", path]);
    expect(stderr).toBe("");
  } finally {
    await rm(dir, { recursive: true });
  }
});
