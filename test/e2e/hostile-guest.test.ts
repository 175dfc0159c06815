import { execFile } from "node:child_process";
import { access, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { type GevulotClient, isGevulotError } from "gevulot-sdk";
import { afterAll, beforeAll, expect, test } from "vitest";

/** A program that tries everything against its node, in real virtual machines. */
const source = fileURLToPath(new URL("../fixtures/programs/hostile.c", import.meta.url));
const SECRET = "nobody else's business";
const MAX_FILES = 300;
let dir = "";
let secret = "";
let net: Devnet | undefined;
let client: GevulotClient;
let program = "";
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
  net = await startDevnet({
    taskDeadlineSeconds: 60,
    maxOutputGb: 0.03,
    maxOutputFiles: MAX_FILES,
    memGb: 4,
    stateDir: join(dir, "state"),
  });
  client = net.client();
  const image = { file, resources: { memMib: 128, cpus: 1 } };
  const deployed = await client.deploy({ name: "hostile", prover: image, verifier: { ...image, name: "v" } });
  program = deployed.prover.hash;
});
afterAll(async () => {
  await net?.close();
  if (dir) await rm(dir, { recursive: true, force: true });
});

async function attempt(mode: string) {
  const run = await client.run({ steps: [{ program, args: [mode, secret] }] });
  const console = join((net as Devnet).nodes[0].dataDir, "log", run.hash, "stdout.log");
  try {
    const { proofs } = await run.result();
    const files = await Promise.all((proofs[0]?.files ?? []).map((file) => file.bytes()));
    return { failure: null, files: files.map((bytes) => new TextDecoder().decode(bytes)), console };
  } catch (error) {
    if (!isGevulotError(error, "TASK_FAILED")) throw error;
    return { failure: error.context.failure, files: [], console };
  }
}

test("nothing outside its workspace is read or written; each task ends with a reason; the node lives", async (context) => {
  if (net === undefined) return context.skip("needs gcc with a static C library");
  const node = net.nodes[0];
  const { pid } = node;
  const before = { passwd: await readFile("/etc/passwd", "utf8"), outside: (await readdir(dir)).sort() };
  const [links, many, deep, sparse, fill, floods] = await Promise.all(
    ["links", "many", "deep", "sparse", "fill", "floods"].map(attempt),
  );
  // A link that a guest makes is a plain file to the host, with what QEMU noted of it.
  expect(links?.failure).toMatchObject({
    code: "RESULT_INVALID",
    message: expect.stringContaining('"/workspace/link" is a symbolic link'),
  });
  const limit = (message: RegExp) => ({ code: "OUTPUT_LIMIT", message: expect.stringMatching(message) });
  expect(many?.failure).toMatchObject(limit(/more than \d+ files and folders/));
  expect(deep?.failure).toMatchObject(limit(/nested deeper than a path can name/));
  // A file can't be made larger than the limit, however little of it is there.
  expect(sparse?.failure).toMatchObject({ code: "PROGRAM_FAILED", exitCode: constants.errno.EFBIG });
  expect(fill?.failure).toMatchObject(limit(/more than \d+ bytes|outgrew the limit/));
  expect(floods?.failure).toBeNull();
  expect(await readFile(floods?.console ?? "", "latin1")).toContain("last words");

  expect(await readFile(secret, "utf8")).toBe(SECRET);
  expect(await readFile("/etc/passwd", "utf8")).toBe(before.passwd);
  expect((await readdir(dir)).sort()).toEqual(before.outside);
  const { stdout } = await promisify(execFile)("find", [dir, "-name", "*hostile-*"]);
  expect(stdout).toBe("");
  // The attempts' folders, however they were left, are gone.
  await expect.poll(() => readdir(join(node.dataDir, "vmfiles")), { timeout: 20_000 }).toEqual([]);
  await access(node.logFile);
  expect((await stat(node.logFile)).size).toBeLessThan(2 ** 20);
  expect(node.pid).toBe(pid);
  expect((await client.getProgram(program)).hash).toBe(program);
});
