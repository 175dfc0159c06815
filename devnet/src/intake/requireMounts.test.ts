import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createProgramMetadata, signTransaction } from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nanosRoot } from "../../../test/fixtures/nanosVolume.ts";
import { createFileLayout } from "../files/layout.ts";
import { requireMounts } from "./requireMounts.ts";
import type { Fetched } from "./stages.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "mounts-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const damaged = nanosRoot({});
damaged.fill(0xff, 520, 540);

test.each<[string, Uint8Array, RegExp | null]>([
  ["an image with the share", nanosRoot({ "%0": "/workspace" }), null],
  ["no image at all, which is told when it runs", Buffer.from("text"), null],
  ["a damaged one, which is told when it runs", damaged, null],
  [
    "one with another tag",
    nanosRoot({ "%1": "/workspace" }),
    /prover.*%1 at \/workspace.*--allow-unmounted-images/,
  ],
  ["one without mounts", nanosRoot({}), /its mounts: none/],
])("%s", async (_, image, wanted) => {
  const layout = createFileLayout(dir);
  const program = (name: string) =>
    createProgramMetadata({
      name,
      imageFileName: "x.img",
      imageFileUrl: "http://127.0.0.1/x",
      imageFileChecksum: "0".repeat(64),
      resources: null,
    });
  const payload = {
    kind: "deploy",
    name: "p",
    prover: program("prover"),
    verifier: program("verifier"),
  } as const;
  const tx = signTransaction({ payload, nonce: 1n, secretKey: new Uint8Array(32).fill(3) }) as Fetched;
  for (const [one, bytes] of [
    [payload.prover, image],
    [payload.verifier, Buffer.from("linux")],
  ] as const) {
    const path = layout.imagePath(one.hash, one.imageFileName);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const deps = { log, layout };
  await expect(requireMounts(deps, tx, true)).resolves.toBeUndefined();
  expect(lines).toHaveLength(wanted === null ? 0 : 1);
  const strict = requireMounts(deps, tx, false);
  if (wanted === null) await expect(strict).resolves.toBeUndefined();
  else
    await expect(strict).rejects.toMatchObject({
      code: "IMAGE_UNMOUNTED",
      message: expect.stringMatching(wanted),
    });
});
