import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { imageProblem } from "./imageProblem.ts";

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "image-problem-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const disk = Buffer.alloc(1_024);
disk.set([0x55, 0xaa], 510);

test.each<[string, Uint8Array, RegExp | null]>([
  ["disk.img", disk, null],
  ["prover", Buffer.concat([Buffer.from("\x7fELF"), Buffer.alloc(600)]), /prover is a program, and no image/],
  ["prover.mjs", Buffer.from("import 'x';"), /prover\.mjs is a program.*`gevulot-devnet image build`/],
  ["empty", Buffer.alloc(0), /empty is no disk image/],
  ["zeros.img", Buffer.alloc(1_024), /zeros\.img is no disk image/],
])("%s", async (name, bytes, problem) => {
  const path = join(dir, name);
  await writeFile(path, bytes);
  const found = await imageProblem(path);
  if (problem === null) expect(found).toBeNull();
  else expect(found).toMatch(problem);
});

test("a folder, and what is not there, are told when they are sent", async () => {
  expect(await imageProblem(dir)).toBeNull();
  expect(await imageProblem(join(dir, "none"))).toBeNull();
});
