import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { howToBuild } from "./vmRun.ts";

test("--mounts moves a manifest's volume of that name, of an image as of a program", async () => {
  const dir = await mkdtemp(join(tmpdir(), "gevulot-vm-run-"));
  try {
    const config = join(dir, "run.json");
    await writeFile(config, JSON.stringify({ Mounts: { params: "/params", other: "/other:ro" } }));
    const given = { program: join(dir, "some.img"), config, mounts: ["params:/x"], exec: false };
    const { build, volumes } = await howToBuild(given);
    expect(build).toBeUndefined();
    expect(volumes).toEqual([
      { label: "params", path: "/x", readonly: false },
      { label: "other", path: "/other", readonly: true },
    ]);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
