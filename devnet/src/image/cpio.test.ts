import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, readlink, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { encodeCpio } from "./cpio.ts";

test("cpio unpacks what was packed", async () => {
  const folder = await mkdtemp(join(tmpdir(), "gevulot-cpio-"));
  try {
    const archive = encodeCpio([
      { kind: "directory", path: "bin" },
      { kind: "file", path: "bin/tool", data: Buffer.from("#!/bin/sh\n"), executable: true },
      { kind: "file", path: "odd-length", data: Buffer.alloc(12_345, 7) },
      { kind: "file", path: "empty", data: Buffer.alloc(0) },
      { kind: "link", path: "bin/alias", target: "tool" },
    ]);
    execFileSync("cpio", ["-id", "--quiet"], { cwd: folder, input: archive });
    expect(await readFile(join(folder, "bin/tool"), "utf8")).toBe("#!/bin/sh\n");
    expect((await stat(join(folder, "bin/tool"))).mode & 0o777).toBe(0o755);
    expect((await readFile(join(folder, "odd-length"))).equals(Buffer.alloc(12_345, 7))).toBe(true);
    expect((await stat(join(folder, "empty"))).size).toBe(0);
    expect(await readlink(join(folder, "bin/alias"))).toBe("tool");
  } finally {
    await rm(folder, { recursive: true });
  }
});
