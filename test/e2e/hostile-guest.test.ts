import { execFile } from "node:child_process";
import { access, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { type GevulotClient, isGevulotError } from "gevulot-sdk";
import { checksumFile } from "gevulot-sdk/node";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createVolumeStore } from "../../devnet/src/vm/volumes/volumeStore.ts";

/** A program that tries everything against its node, in real virtual machines. */
const source = fileURLToPath(new URL("../fixtures/programs/hostile.c", import.meta.url));
const SECRET = "nobody else's business";
const MAX_FILES = 3_000;
const VOLUME_BYTES = 16 * 2 ** 20;
let dir = "";
let secret = "";
let net: Devnet | undefined;
let client: GevulotClient;
let program = "";
/** The same binary as a program that knows nothing of tasks. */
let execProgram = "";
let paramsFile = "";
/** What the floods' console says, and how their VM had its VSOCK. */
let flooded = { console: "", vsock: "" };
let compiler: string | null = null;

beforeAll(async () => {
  compiler = await promisify(execFile)("gcc", ["--version"]).then(
    () => "gcc",
    () => null,
  );
  if (compiler === null) return;
  dir = await mkdtemp(join(tmpdir(), "gevulot-guest-"));
  secret = join(dir, "secret.txt");
  await writeFile(secret, SECRET);
  const binary = join(dir, "hostile");
  await promisify(execFile)(compiler, ["-O1", "-static", "-w", "-o", binary, source]);
  const file = join(dir, "hostile.img");
  await buildImage({ program: binary, outputPath: file, workingDir: dir });
  const volumes = createVolumeStore({ folder: join(dir, "volumes") });
  paramsFile = (await volumes.create({ name: "params", sizeBytes: VOLUME_BYTES })).path;
  await volumes.create({ name: "scratch", sizeBytes: VOLUME_BYTES, writable: true });
  const execImage = join(dir, "exec.img");
  const Mounts = { params: "/params:ro", scratch: "/scratch" };
  const exec = { outputs: ["out/**"] };
  await buildImage({ program: binary, manifest: { Mounts }, exec, outputPath: execImage, workingDir: dir });
  net = await startDevnet({
    taskDeadlineSeconds: 60,
    maxOutputGb: 0.03,
    maxOutputFiles: MAX_FILES,
    memGb: 4,
    volumesDirectory: join(dir, "volumes"),
    stateDir: join(dir, "state"),
  });
  client = net.client();
  const image = { file, resources: { memMib: 128, cpus: 1 } };
  const verifier = { ...image, file: execImage, name: "exec" };
  const deployed = await client.deploy({ name: "hostile", prover: image, verifier });
  program = deployed.prover.hash;
  execProgram = deployed.verifier.hash;
});
afterAll(async () => {
  await net?.close();
  if (dir) await rm(dir, { recursive: true, force: true });
});

async function attempt(mode: string) {
  const which = mode === "exec" ? execProgram : program;
  const run = await client.run({ steps: [{ program: which, args: [mode, secret] }] });
  const console = join((net as Devnet).nodes[0].dataDir, "log", run.hash, "stdout.log");
  try {
    await run.result();
    return { failure: null, run: run.hash, console };
  } catch (error) {
    if (!isGevulotError(error, "TASK_FAILED")) throw error;
    return { failure: error.context.failure, run: run.hash, console };
  }
}

test("nothing outside its workspace is read or written; each task ends with a reason; the node lives", async (context) => {
  if (net === undefined) return context.skip("needs gcc with a static C library");
  const node = net.nodes[0];
  const { pid } = node;
  const before = { passwd: await readFile("/etc/passwd", "utf8"), outside: (await readdir(dir)).sort() };
  const params = await checksumFile(paramsFile);
  const [links, pipe, disk, many, deep, sparse, fill, floods, exec] = await Promise.all(
    ["links", "pipe", "disk", "many", "deep", "sparse", "fill", "floods", "exec"].map(attempt),
  );
  // A link that a guest makes is a plain file to the host, with what QEMU noted of it.
  expect(links?.failure).toMatchObject({
    code: "RESULT_INVALID",
    message: expect.stringContaining('"/workspace/link" is a symbolic link'),
  });
  for (const [name, special] of Object.entries({ pipe, disk })) {
    expect(special?.failure).toMatchObject({
      code: "RESULT_INVALID",
      message: expect.stringContaining(`"/workspace/${name}" is`),
    });
  }
  const limit = (message: RegExp) => ({ code: "OUTPUT_LIMIT", message: expect.stringMatching(message) });
  expect(many?.failure).toMatchObject(limit(/more than \d+ files and folders/));
  expect(deep?.failure).toMatchObject(limit(/nested deeper than a path can name/));
  // A file can't be made larger than the limit, however little of it is there.
  expect(sparse?.failure).toMatchObject({ code: "PROGRAM_FAILED", exitCode: constants.errno.EFBIG });
  expect(fill?.failure).toMatchObject(limit(/more than \d+ bytes|outgrew the limit/));
  expect(floods?.failure).toBeNull();
  const status = await client.getRunStatus(floods?.run ?? "");
  flooded = {
    console: await readFile(floods?.console ?? "", "latin1"),
    vsock: status.tasks[0]?.attempts[0]?.vsock ?? "",
  };
  expect(flooded.console).toContain("last words");
  // Where init kept the standard output there is a link now.
  expect(exec?.failure).toMatchObject({
    code: "PROGRAM_FAILED",
    message: expect.stringMatching(/there is no proof.*\(PROOF_MISSING\)/),
  });
  expect(exec?.failure?.message).not.toContain(dir);
  expect(await checksumFile(paramsFile)).toBe(params);
  const held = (await createVolumeStore({ folder: join(dir, "volumes") }).holders("scratch")).length;
  expect(held).toBe(0);

  expect(await readFile(secret, "utf8")).toBe(SECRET);
  expect(await readFile("/etc/passwd", "utf8")).toBe(before.passwd);
  expect((await readdir(dir)).sort()).toEqual(before.outside);
  const { stdout } = await promisify(execFile)("find", [dir, "-name", "*hostile-*"]);
  expect(stdout).toBe("");
  // The attempts' folders, however they were left, are gone.
  await expect.poll(() => readdir(join(node.dataDir, "vmfiles"))).toEqual([]);
  await access(node.logFile);
  expect((await stat(node.logFile)).size).toBeLessThan(2 ** 20);
  expect(node.pid).toBe(pid);
  expect((await client.getProgram(program)).hash).toBe(program);
});

test("its VSOCK too", async (context) => {
  if (net === undefined) return context.skip("needs gcc with a static C library");
  if (flooded.vsock === "none") return context.skip("the floods of VSOCK did not run: there is none here");
  expect(flooded.console).toContain("vsock flooded");
});
