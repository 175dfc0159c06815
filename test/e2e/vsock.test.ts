import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { checksumFile } from "gevulot-sdk/node";
import pino from "pino";
import { afterAll, beforeAll, expect, type TestContext, test } from "vitest";
import { buildImage } from "../../devnet/src/image/buildImage.ts";
import { ensureGuestKernel } from "../../devnet/src/image/ensureGuestKernel.ts";
import { prepareBoot } from "../../devnet/src/image/prepareBoot.ts";
import type { VmOutcome } from "../../devnet/src/vm/provider.ts";
import { createQemuProvider, type QemuProvider } from "../../devnet/src/vm/qemuProvider.ts";
import { createTaskExchange, type TaskExchange } from "../../devnet/src/vm/vsock/taskExchange.ts";
import { root } from "../tidy/sources.ts";

const log = pino({ level: "silent" });
const qemuPath = "qemu-system-x86_64";
const cacheDir = join(homedir(), ".cache", "gevulot");
const HASH = "0123456789abcdef".repeat(4);
const source = (path: string) => JSON.stringify(join(root, path));

let folder = "";
let provider: QemuProvider;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "gevulot-e2e-vsock-")));
  provider = await createQemuProvider({ log, prepareBoot }, { qemuPath, cacheDir });
});
afterAll(async () => {
  await provider?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

function needVsock(context: TestContext): void {
  if (provider.vsock.kind === "none") context.skip(`no VSOCK here: ${provider.vsock.detail}`);
}

async function build(name: string, program: string, manifest: object = {}): Promise<string> {
  const path = join(folder, `${name}.img`);
  await buildImage({ program, workingDir: folder, manifest, outputPath: path });
  return path;
}

interface Ran {
  readonly outcome: VmOutcome;
  readonly exchange: TaskExchange;
  readonly workspaceDir: string;
  readonly console: string;
}

async function run(imagePath: string, args: string[], using: QemuProvider = provider): Promise<Ran> {
  const name = imagePath.slice(imagePath.lastIndexOf("/") + 1);
  const workspaceDir = join(folder, `${name}-run`, "workspace");
  await mkdir(workspaceDir, { recursive: true });
  const exchange = createTaskExchange({ txHash: HASH, name: "7-program", args, files: [] });
  const outcome = await using.run(
    {
      attemptId: name,
      imagePath,
      imageChecksum: "",
      exchange,
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
  const console = await readFile(join(folder, `${name}.log`), "utf8").catch(() => "");
  return { outcome, exchange, workspaceDir, console };
}

const JS = `
import { writeFileSync } from "node:fs";
import { run } from ${source("shim/src/index.ts")};
await run((task) => {
  writeFileSync(task.path("out.bin"), Buffer.alloc(3_000_000, 7));
  return task.result([task.id, ...task.args].join("|"), ["out.bin"]);
});
`;

test("a JavaScript program takes its task and hands back its result", async (context) => {
  needVsock(context);
  await writeFile(join(folder, "prover.mjs"), JS);
  // There is no task.json: only VSOCK can have told it.
  const image = await build("js", join(folder, "prover.mjs"));
  const { outcome, exchange, workspaceDir, console } = await run(image, ["", "with space", "ünï"]);
  expect(outcome, console).toEqual({ kind: "exited", exitCode: 0 });
  const submitted = exchange.submitted;
  if (submitted?.kind !== "ok") throw new Error("no result came");
  expect(Buffer.from(submitted.data).toString()).toBe(`${HASH}||with space|ünï`);
  expect(submitted.files.map(({ path }) => path)).toEqual(["/workspace/out.bin"]);
  const checksum = await checksumFile(join(workspaceDir, "out.bin"));
  expect(submitted.files.map((file) => Buffer.from(file.checksum).toString("hex"))).toEqual([checksum]);
});

test("a static program that speaks the protocol by itself", async (context) => {
  needVsock(context);
  const program = join(folder, "client");
  try {
    const code = join(root, "test/fixtures/programs/vsockClient.c");
    execFileSync("gcc", ["-O1", "-Wall", "-static", "-o", program, code], { stdio: "pipe" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return context.skip("gcc is not installed");
    throw error;
  }
  await writeFile(join(folder, "expected"), "made in C");
  const checksum = await checksumFile(join(folder, "expected"));
  const image = await build("static", program, { Env: { GEVULOT_TRANSPORT: "vsock" } });
  const { outcome, exchange, workspaceDir, console } = await run(image, ["made in C", checksum]);
  expect(console).toContain("answered with 0 bytes");
  expect(outcome).toEqual({ kind: "exited", exitCode: 0 });
  expect(exchange.submitted).toEqual({
    kind: "ok",
    data: Buffer.from("9"),
    files: [{ path: "/workspace/out.txt", checksum: Buffer.from(checksum, "hex") }],
  });
  expect(await readFile(join(workspaceDir, "out.txt"), "utf8")).toBe("made in C");
});

test("an image that speaks VSOCK alone is refused where there is none", async () => {
  await writeFile(join(folder, "only.mjs"), "");
  const image = await build("only", join(folder, "only.mjs"), { Env: { GEVULOT_TRANSPORT: "vsock" } });
  await using without = await createQemuProvider(
    { log, prepareBoot },
    { qemuPath, cacheDir, vsock: { mode: "off" } },
  );
  const { outcome } = await run(image, [], without);
  expect(outcome).toEqual({
    kind: "bootFailed",
    reason: expect.stringMatching(/VSOCK alone, .*not to be had here: it is switched off/),
  });
});

const LISTEN = `
import { createGrpcClient } from ${source("shim/src/vsock/grpcClient.ts")};
import { loadKoffi } from ${source("shim/src/vsock/loadKoffi.ts")};
import { decodeTaskResponse, GET_TASK } from ${source("shim/src/vsock/messages.ts")};
import { CID_LOCAL, createVsockLibc } from ${source("shim/src/vsock/vsockLibc.ts")};
import { socketOf } from ${source("shim/src/vsock/vsockSocket.ts")};
import { createTaskExchange } from ${source("devnet/src/vm/vsock/taskExchange.ts")};
import { createTaskServer } from ${source("devnet/src/vm/vsock/taskServer.ts")};
import { createVsockListener } from ${source("devnet/src/vm/vsock/vsockListener.ts")};

const libc = createVsockLibc(loadKoffi());
const server = createTaskServer(createTaskExchange({ txHash: "ab", name: "n", args: ["x"], files: [] }));
const cids = [];
const listener = await createVsockListener(libc, 8080, (connection, cid) => {
  cids.push(cid);
  server.accept(connection);
});
let second = "listens";
try { libc.listen(0xffffffff, 8080, 1); } catch (error) { second = error.code; }
const client = createGrpcClient(socketOf(libc.connect(CID_LOCAL, 8080)));
const answer = decodeTaskResponse(await client.call(GET_TASK, new Uint8Array(), 10000));
client.close();
await listener[Symbol.asyncDispose]();
let closed = "connects";
try { libc.connect(CID_LOCAL, 8080); } catch (error) { closed = error.code; }
console.log(JSON.stringify({ cids, second, closed, task: answer.task }));
`;

/** What `/dev/vhost-vsock` comes with, in the order of loading; only this test's guest is a host. */
const HOST_MODULES = ["vhost_iotlb", "vhost", "vhost_vsock"];

const HOST = `
import { readFileSync } from "node:fs";
import { createKernelVsock } from ${source("devnet/src/vm/vsock/kernelVsock.ts")};

const koffi = loadKoffi();
const initModule = koffi.load(null).func("long syscall(long n, const uint8_t *image, unsigned long bytes, const char *options)");
for (const name of ${JSON.stringify(HOST_MODULES)}) {
  const image = readFileSync("/" + name + ".ko");
  if (initModule(175, image, image.length, "") !== 0) throw new Error(name + ": error " + koffi.errno());
}
const nodes = await Promise.all([8080, 8081].map((port) => createKernelVsock({ koffi, port })));
const taken = await createKernelVsock({ koffi, port: 8080 }).catch((error) => error.code);
const vms = [];
for (const node of [0, 1, 0]) vms.push(await nodes[node].open({ server, mark: "" }));
const numbers = vms.map(({ device }) => device.cid);
await vms[1][Symbol.asyncDispose]();
numbers.push((await nodes[0].open({ server, mark: "" })).device.cid);
const stranger = createGrpcClient(socketOf(libc.connect(CID_LOCAL, 8080)));
const refused = await stranger.call(GET_TASK, new Uint8Array(), 10000).then(() => "answered", () => "refused");
console.log(JSON.stringify({ taken, numbers, refused }));
process.exit();
`;

async function writeModules(context: TestContext): Promise<string[]> {
  const { modulesDir } = await ensureGuestKernel({ cacheDir });
  const paths = await readdir(join(modulesDir, "kernel"), { recursive: true });
  return HOST_MODULES.map((name) => {
    const path = paths.find((each) => new RegExp(`/${name}\\.ko(\\.xz|\\.zst)?$`).test(each));
    if (path === undefined) return context.skip(`the guest's kernel has no module ${name}`);
    const [tool, args] = path.endsWith(".xz") ? ["xz", ["-dc"]] : ["zstd", ["-dcq"]];
    const packed = join(modulesDir, "kernel", path);
    const data = path.endsWith(".ko") ? readFileSync(packed) : execFileSync(tool, [...args, packed]);
    writeFileSync(join(folder, `${name}.ko`), data);
    return `${name}.ko`;
  });
}

test("the kernel's device: its listener, and numbers for VMs, in a guest", async (context) => {
  await writeFile(join(folder, "listen.mjs"), LISTEN + HOST);
  const image = await build("listen", join(folder, "listen.mjs"), { Files: await writeModules(context) });
  await using loopback = await createQemuProvider(
    {
      log,
      async prepareBoot(options) {
        const boot = await prepareBoot(options);
        // It has no host: it is one.
        return { ...boot, needsVsock: false, cmdline: `${boot.cmdline} gv.load=vsock gv.load=loopback` };
      },
    },
    { qemuPath, cacheDir, vsock: { mode: "off" } },
  );
  const { outcome, console } = await run(image, [], loopback);
  // On a busy machine the guest's kernel may have something to say too.
  const said = console.split("\n").filter((line) => line.startsWith("{"));
  expect(JSON.parse(said[0] ?? "null"), console).toEqual({
    cids: [1],
    second: "EADDRINUSE",
    closed: "ECONNRESET",
    task: { txHash: "ab", name: "n", args: ["x"], files: [] },
  });
  // Two nodes on one machine: each number is given once, and again when its VM has gone.
  expect(JSON.parse(said[1] ?? "null"), console).toEqual({
    taken: "EADDRINUSE",
    numbers: [4, 5, 6, 5],
    refused: "refused",
  });
  expect(outcome).toEqual({ kind: "exited", exitCode: 0 });
});
