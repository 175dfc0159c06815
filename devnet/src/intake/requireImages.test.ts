import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createProgramMetadata, signTransaction } from "gevulot-sdk/protocol";
import { pino } from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { nanosRoot } from "../../../test/fixtures/nanosVolume.ts";
import { createFileLayout } from "../files/layout.ts";
import { DESCRIPTOR_OFFSET, encodeDescriptor } from "../image/descriptor.ts";
import { requireImages } from "./requireImages.ts";
import type { Fetched } from "./stages.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "mounts-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const damaged = nanosRoot({});
damaged.fill(0xff, 520, 540);

/** As much of an image as is read. */
function linuxImage(path: string): Uint8Array {
  const part = { offset: 0, length: 512, sha256: "ab".repeat(32) };
  const volumes = [{ label: "params", path, readonly: true }];
  const program = { kind: "elf", path: "/p", args: [], env: {}, workspace: "/workspace" } as const;
  const image = Buffer.alloc(DESCRIPTOR_OFFSET + 8_192);
  encodeDescriptor({
    ...{ sizeBytes: image.length, firstSector: part, boot: part, kernel: part, initrd: part, root: part },
    program: { ...program, readonlyRootfs: true, volumes },
    versions: { kernel: "6.1.0-1-amd64" },
  }).copy(image, DESCRIPTOR_OFFSET);
  return image;
}

const none = /prover.*not an image made by `gevulot-devnet image build`/;

test.each<[string, Uint8Array, object | null, string?]>([
  ["an image with the share", nanosRoot({ "%0": "/workspace" }), null],
  ["no image at all", Buffer.from("text"), { code: "IMAGE_REFUSED", message: expect.stringMatching(none) }],
  ["a damaged one", damaged, { code: "IMAGE_REFUSED" }],
  [
    "one with another tag",
    nanosRoot({ "%1": "/workspace" }),
    {
      code: "IMAGE_UNMOUNTED",
      message: expect.stringMatching(/prover.*%1 at \/workspace.*--allow-unmounted-images/),
    },
  ],
  [
    "one without mounts",
    nanosRoot({}),
    { code: "IMAGE_UNMOUNTED", message: expect.stringContaining("its mounts: none") },
  ],
  [
    "one whose own volumes the Deploy names",
    nanosRoot({ "%0": "/workspace", params: "/params:ro" }),
    null,
    "#volume=params:/params:ro",
  ],
  [
    "one whose guest can't mount what the Deploy names",
    nanosRoot({ "%0": "/workspace", params: "/params" }),
    {
      code: "IMAGE_REFUSED",
      message: expect.stringMatching(/Nanos .*\(params:\/params\), and not params:\/params:ro; .* Mounts/),
    },
    "#volume=params:/params:ro",
  ],
  ["one of Linux with a volume besides its own", linuxImage("/params"), null, "#volume=more:/more"],
  [
    "one of Linux whose own volume the Deploy's would be in",
    linuxImage("/params"),
    { code: "IMAGE_REFUSED", message: expect.stringMatching(/params at \/params .*more at \/params\/more/) },
    "#volume=more:/params/more",
  ],
  [
    "one of Linux with paths too long together",
    linuxImage(`/${"x".repeat(1_000)}`),
    { code: "IMAGE_REFUSED", message: expect.stringContaining("1024 characters are allowed") },
    `#volume=more:/${"y".repeat(100)}`,
  ],
])("%s", async (_, image, wanted, fragment = "") => {
  const layout = createFileLayout(dir);
  const program = (name: string, volumes = "") =>
    createProgramMetadata({
      name,
      imageFileName: "x.img",
      imageFileUrl: `http://127.0.0.1/x${volumes}`,
      imageFileChecksum: "0".repeat(64),
      resources: null,
    });
  const payload = {
    kind: "deploy",
    name: "p",
    prover: program("prover", fragment),
    verifier: program("verifier"),
  } as const;
  const tx = signTransaction({ payload, nonce: 1n, secretKey: new Uint8Array(32).fill(3) }) as Fetched;
  for (const [one, bytes] of [
    [payload.prover, image],
    [payload.verifier, nanosRoot({ "%0": "/workspace" })],
  ] as const) {
    const path = layout.imagePath(one.hash, one.imageFileName);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
  }
  const lines: string[] = [];
  const log = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const deps = { log, layout };
  await expect(requireImages(deps, tx, { unmounted: true, unusable: true })).resolves.toBeUndefined();
  expect(lines).toHaveLength(wanted === null ? 0 : 1);
  const strict = requireImages(deps, tx, { unmounted: false, unusable: false });
  if (wanted === null) await expect(strict).resolves.toBeUndefined();
  else await expect(strict).rejects.toMatchObject(wanted);
});
