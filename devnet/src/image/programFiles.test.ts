import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseManifest } from "./manifest.ts";
import { listProgramFiles } from "./programFiles.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "gevulot-files-"));
  for (const path of ["a.txt", "app/.gevulot/key", ".gevulot/devnet/keys/node0.pki", "tmp/x", "dev/y"]) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), "");
  }
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function list(manifest: object, format: "linux" | "nanos") {
  const { files, notes } = await listProgramFiles(parseManifest(manifest), folder, format);
  return { paths: files.filter(({ kind }) => kind === "file").map(({ path }) => path), notes };
}

const leftOut = (...paths: string[]) => paths.map((path) => `${path} is left out: it is used by the system.`);

describe("listProgramFiles leaves out a devnet's keys, and what the machine would hide", () => {
  test.each([{ Dirs: ["."] }, { MapDirs: { "*": "/" } }])("%j", async (manifest) => {
    expect(await list(manifest, "linux")).toEqual({
      paths: ["/a.txt"],
      notes: leftOut("/.gevulot", "/app/.gevulot", "/dev", "/tmp"),
    });
    expect(await list(manifest, "nanos")).toEqual({
      paths: ["/a.txt", "/dev/y", "/tmp/x"],
      notes: leftOut("/.gevulot", "/app/.gevulot"),
    });
  });

  test("and refuses them by name", async () => {
    const reason = /is used by the system/;
    for (const format of ["linux", "nanos"] as const) {
      await expect(list({ Dirs: [".gevulot"] }, format)).rejects.toThrow(reason);
      await expect(list({ Files: ["app/.gevulot/key"] }, format)).rejects.toThrow(reason);
    }
    await symlink(".gevulot/devnet/keys", join(folder, "link"));
    for (const manifest of [{ Files: ["link/node0.pki"] }, { MapDirs: { "link/*": "/k" } }])
      await expect(list(manifest, "linux")).rejects.toThrow(/leads into \.gevulot/);
    await expect(list({ Dirs: ["tmp"] }, "linux")).rejects.toThrow(reason);
    expect((await list({ Dirs: ["tmp"] }, "nanos")).paths).toEqual(["/tmp/x"]);
  });
});
