import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, stat, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { collectFiles } from "./collectFiles.ts";

let root: string;
let workspace: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "collect-"));
  workspace = join(root, "workspace");
  await mkdir(join(workspace, "deep"), { recursive: true });
});
afterEach(() => rm(root, { recursive: true }));

const collect = (paths: string[], maxBytes = 1_000) =>
  collectFiles(workspace, paths, join(root, "staging"), { maxBytes });

describe("collectFiles", () => {
  test("copies and hashes; a file named twice counts once", async () => {
    await writeFile(join(workspace, "proof.bin"), "");
    await writeFile(join(workspace, "deep", "é.txt"), "abc");
    const files = await collect(["/workspace/proof.bin", "/workspace/deep/é.txt", "/workspace/proof.bin"]);
    expect(files.map(({ vmPath, checksum }) => [vmPath, checksum])).toEqual([
      ["/workspace/proof.bin", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"],
      ["/workspace/deep/é.txt", "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"],
    ]);
    expect(await readFile(files[1]?.path as string, "utf8")).toBe("abc");
  });

  test("takes no more of a file that grows than was counted", async () => {
    const path = join(workspace, "grows");
    await writeFile(path, "x".repeat(900));
    // A process that the program left behind.
    const writer = spawn("sh", ["-c", `while :; do printf %0100d 0 >> "$0"; done`, path]);
    try {
      for (let round = 0; round < 20; round++) {
        await truncate(path, 900);
        const taken = await collect(["/workspace/grows"], 2_000).catch((error: Error) => error.message);
        if (typeof taken === "string") expect(taken).toMatch(/larger than 2000 bytes/);
        else expect((await stat(taken[0]?.path as string)).size).toBeLessThanOrEqual(2_000);
      }
    } finally {
      writer.kill("SIGKILL");
      await once(writer, "close");
    }
  });

  test.each([
    ["/workspace/missing", /does not exist/],
    ["/workspace/nowhere/x", /does not exist/],
    ["/workspace/deep", /no plain file/],
    ["/workspace/link", /symbolic link/],
    ["/workspace/linked/passwd", /no folder/],
    ["/workspace/fifo", /no plain file/],
    ["/workspace/../secret", /segment ".."/],
    ["/etc/passwd", /not under \/workspace\//],
    ["/workspace/", /it is empty/],
    ["/workspace/a\0b", /NUL/],
    ["/workspace/task.json", /where node and program meet/],
    ["/workspace/.gevulot/stdout", /where node and program meet/],
    ["/workspace/guest/link", /symbolic link/],
    ["/workspace/guest/pipe", /no plain file/],
    ["/workspace/big", /larger than 1000 bytes/],
  ])("refuses %j", async (path, problem) => {
    await symlink("/etc/passwd", join(workspace, "link"));
    await symlink("/etc", join(workspace, "linked"));
    execFileSync("mkfifo", [join(workspace, "fifo")]);
    // As QEMU leaves what a guest made.
    await mkdir(join(workspace, "guest", ".virtfs_metadata"), { recursive: true });
    for (const [name, type] of [
      ["link", constants.S_IFLNK],
      ["pipe", constants.S_IFIFO],
    ] as const) {
      await writeFile(join(workspace, "guest", name), "/etc/passwd");
      const note = `virtfs.uid=0\nvirtfs.gid=0\nvirtfs.mode=${type | 0o777}\n`;
      await writeFile(join(workspace, "guest", ".virtfs_metadata", name), note);
    }
    await writeFile(join(workspace, "big"), "x".repeat(1_001));
    await expect(collect([path])).rejects.toThrow(problem);
  });
});
