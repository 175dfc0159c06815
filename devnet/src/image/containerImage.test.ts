import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeDockerArchive, type TarItem } from "../../../test/fixtures/makeContainer.ts";
import { buildImage } from "./buildImage.ts";
import { extractProgram } from "./extractProgram.ts";
import { readImage } from "./readImage.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "gevulot-container-image-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test("an image of a container is for a virtual machine alone, and may have links for folders, and many outputs", async () => {
  const items: TarItem[] = [
    { path: "bin/sh", data: await readFile("/bin/busybox"), mode: 0o755 },
    { path: "srv/real/", mode: 0o755 },
    { path: "work", type: "2", target: "srv/real" },
    { path: "tmp", type: "2", target: "/var/tmp" },
  ];
  const config = { Entrypoint: ["/bin/sh"], WorkingDir: "/work" };
  const fromContainer = join(root, "container.tar");
  await writeFile(fromContainer, makeDockerArchive({ layers: [items], config }));
  const outputs = Array.from({ length: 1_001 }, (_, at) => `out/${at}`);
  const outputPath = join(root, "container.img");
  const { path } = await buildImage({ fromContainer, outputPath, exec: { outputs } });
  const { program } = await readImage(path);
  expect(program).toMatchObject({ cwd: "/srv/real", ownSystem: true, exec: { outputs } });
  await expect(extractProgram({ imagePath: path, cacheDir: join(root, "cache") })).rejects.toThrow(
    /made of a container.*take the provider qemu/,
  );
});
