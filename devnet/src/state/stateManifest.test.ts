import { expect, test } from "vitest";
import { parseManifest } from "./stateManifest.ts";

const blob = "0".repeat(64);

function withPaths({ keys = [], files = [] }: { keys?: string[]; files?: string[] }): string {
  const entries = (paths: string[]) => paths.map((path) => ({ path, blob }));
  return JSON.stringify({
    format: "gevulot-devnet-state",
    version: 1,
    createdAt: "2026-01-01T00:00:00.000Z",
    createdBy: "test",
    nodes: [
      { name: "node0", database: { schemaVersion: 1, tables: [], sequences: {} }, files: entries(files) },
    ],
    keys: entries(keys),
    blobs: [{ hash: blob, bytes: 0 }],
  });
}

test.each([
  { keys: ["devnet.json"] },
  { keys: ["postgres/data/postgresql.conf"] },
  { keys: ["keys"] },
  { keys: ["keys/../devnet.json"] },
  { files: ["node.lock"] },
  { files: ["cache/boot/vmlinux"] },
  { files: ["keys/node0.key"] },
])("files of a state lie where a state has files, and nowhere else: %j", (paths) => {
  expect(() => parseManifest(withPaths(paths), "it")).toThrow(
    /its manifest is wrong at .*(not below|unsafe)/,
  );
});

test("the longest path that a file of a transaction can have is taken", () => {
  const longest = `workspace/${`${"x".repeat(200)}/`.repeat(5)}${"y".repeat(19)}`;
  expect(longest).toHaveLength("workspace/".length + 1_024);
  const files = [`txfiles/${blob}/${longest}`, `images/${blob}/prover.img`];
  const { nodes } = parseManifest(withPaths({ keys: ["keys/node0.pki"], files }), "it");
  expect(nodes[0]?.files.map(({ path }) => path)).toEqual(files);
});
