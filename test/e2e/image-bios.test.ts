import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BuiltImage, buildImage } from "../../devnet/src/image/buildImage.ts";
import { createVmProvider } from "../../devnet/src/vm/createVmProvider.ts";
import type { VmOutcome, VmProvider } from "../../devnet/src/vm/provider.ts";
import { bootByBios } from "../fixtures/bootByBios.ts";

const JS = `
import fs from "node:fs";
const files = fs.readdirSync("/").filter((name) => !name.startsWith("."));
fs.writeFileSync("/workspace/task_result.json", JSON.stringify({ argv: process.argv, env: process.env, cwd: process.cwd(), files }));
fs.writeFileSync("/workspace/seen", fs.readFileSync("/proc/mounts", "utf8").includes(" /workspace 9p ") ? "9p" : "nothing");
`;
/** The square root is in libm: a dynamic program needs a library beside libc. */
const C = `
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv) {
  FILE *file = fopen("/workspace/task_result.json", "w");
  if (!file) return 1;
  fprintf(file, "{\\"root\\": %.3f, \\"argument\\": \\"%s\\", \\"level\\": \\"%s\\"}", sqrt(atof(argv[1])), argv[2], getenv("LEVEL"));
  printf("written by C\\n");
  return fclose(file) ? 1 : 7;
}
`;
const MANIFEST = { Args: ["2.25", "it's"], Env: { LEVEL: "3" } };
const C_RESULT = { root: 1.5, argument: "it's", level: "3" };

let folder = "";
let provider: VmProvider;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "gevulot-e2e-bios-")));
  const cacheDir = join(homedir(), ".cache", "gevulot");
  const log = pino({ level: "silent" });
  provider = await createVmProvider({ log }, { provider: "qemu", qemuPath: "qemu-system-x86_64", cacheDir });
});
afterAll(async () => {
  await provider?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function build(program: string, manifest: object): Promise<BuiltImage> {
  const outputPath = join(folder, `${program}.img`);
  return buildImage({ program: join(folder, program), workingDir: folder, manifest, outputPath });
}

function compile(name: string, ...flags: string[]): boolean {
  try {
    execFileSync("gcc", ["-O1", "-o", name, "program.c", ...flags, "-lm"], { cwd: folder, stdio: "pipe" });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}

async function bootDirectly(image: BuiltImage, name: string) {
  const workspaceDir = join(folder, name, "workspace");
  await mkdir(workspaceDir, { recursive: true });
  const outcome: VmOutcome = await provider.run(
    {
      attemptId: name,
      imagePath: image.path,
      imageChecksum: image.checksum,
      workspaceDir,
      memMib: 512,
      cpus: 1,
      gpuDevices: [],
      consolePath: join(folder, `${name}.log`),
      consoleLimitBytes: 65_536,
      deadlineMs: 120_000,
    },
    {},
  );
  return { outcome, workspaceDir };
}

const resultIn = async (workspaceDir: string) =>
  JSON.parse(await readFile(join(workspaceDir, "task_result.json"), "utf8"));

test("one JavaScript image finds the same under the existing node's arguments and under ours", async () => {
  await writeFile(join(folder, "prover.mjs"), JS);
  const image = await build("prover.mjs", { ...MANIFEST, Env: { LEVEL: "3", ODD: "a'b$c" } });

  const bios = await bootByBios(image.path, join(folder, "js-bios"));
  expect(bios.console).not.toContain("init:");
  // What init leaves through isa-debug-exit with; it tells nothing about the program.
  expect(bios.status).toBe(1);
  expect(await readFile(join(bios.workspaceDir, "seen"), "utf8")).toBe("9p");

  const direct = await bootDirectly(image, "js-direct");
  expect(direct.outcome).toEqual({ kind: "exited", exitCode: 0 });
  const found = await resultIn(bios.workspaceDir);
  expect(found).toEqual(await resultIn(direct.workspaceDir));
  expect(found).toMatchObject({ argv: ["/usr/bin/node", "/prover.mjs", "2.25", "it's"], cwd: "/" });
});

describe("a program in C", () => {
  beforeAll(() => writeFile(join(folder, "program.c"), C));

  test("linked statically: nothing else goes in, and the BIOS boots it", async (context) => {
    if (!compile("fixed", "-static")) return context.skip("gcc is not installed");
    const image = await build("fixed", MANIFEST);
    expect(image.runtime).toEqual([]);
    const { workspaceDir, console } = await bootByBios(image.path, join(folder, "fixed-bios"));
    expect(console).toContain("written by C");
    expect(await resultIn(workspaceDir)).toEqual(C_RESULT);
  });

  test("linked dynamically: its libraries and no others go in", async (context) => {
    if (!compile("linked")) return context.skip("gcc is not installed");
    const image = await build("linked", { ...MANIFEST, ManifestPassthrough: { readonly_rootfs: "true" } });
    const names = image.runtime.map((path) => path.slice(path.lastIndexOf("/") + 1)).sort();
    expect(names).toEqual(["ld-linux-x86-64.so.2", "libc.so.6", "libm.so.6"]);
    const { outcome, workspaceDir } = await bootDirectly(image, "linked-direct");
    expect(outcome).toEqual({ kind: "exited", exitCode: 7 });
    expect(await resultIn(workspaceDir)).toEqual(C_RESULT);
  });
});
