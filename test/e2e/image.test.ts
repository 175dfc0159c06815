import { mkdir, mkdtemp, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import pino from "pino";
import { afterAll, beforeAll, expect, test } from "vitest";
import { buildImage } from "../../devnet/src/image/buildImage.ts";
import { createVmProvider } from "../../devnet/src/vm/createVmProvider.ts";
import type { VmOutcome, VmProvider } from "../../devnet/src/vm/provider.ts";

const MIB = 2 ** 20;
/** Says in the workspace what it finds, and ends with a code that a shell would take for SIGKILL. */
const PROGRAM = `
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import os from "node:os";

const attempt = (work) => { try { work(); return "ok"; } catch (error) { return error.code; } };
const talk = () => new Promise((resolve, reject) => {
  const server = net.createServer((socket) => socket.end("hi")).on("error", reject);
  server.listen(0, "127.0.0.1", () => {
    net.connect(server.address().port, "127.0.0.1").on("error", reject)
      .on("data", (data) => { server.close(); resolve(String(data)); });
  });
});
const large = Buffer.alloc(${8 * MIB}, 7);
fs.writeFileSync("/workspace/large", large);
fs.renameSync("/workspace/large", "/workspace/renamed");
fs.writeFileSync("/workspace/found.json", JSON.stringify({
  argv: process.argv, env: process.env, cwd: process.cwd(), user: os.userInfo().username, host: os.hostname(),
  key: fs.readFileSync("data/key.bin", "utf8"), input: fs.readFileSync("/workspace/input", "utf8"),
  root: attempt(() => fs.writeFileSync("/written", "")), tmp: attempt(() => fs.writeFileSync("/tmp/written", "")),
  random: randomBytes(16).toString("hex"), loopback: await talk(), large: fs.readFileSync("/workspace/renamed").equals(large),
}));
console.log("said on the console");
process.exit(137);
`;
const ARGS = ["it's", '"$HOME" `id` \\', "two\nlines", "", "--flag"];
const ENV = { LEVEL: "3", ODD: "a'b$c\nd" };

let folder = "";
let provider: VmProvider;
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), "gevulot-e2e-image-")));
  await mkdir(join(folder, "data"));
  await writeFile(join(folder, "data", "key.bin"), "a key");
  await writeFile(join(folder, "program.mjs"), PROGRAM);
  const cacheDir = join(homedir(), ".cache", "gevulot");
  const log = pino({ level: "silent" });
  provider = await createVmProvider({ log }, { provider: "qemu", qemuPath: "qemu-system-x86_64", cacheDir });
});
afterAll(async () => {
  await provider?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function boot(name: string, passthrough: object) {
  const image = await buildImage({
    program: join(folder, "program.mjs"),
    workingDir: folder,
    manifest: { Args: ARGS, Env: ENV, Files: ["data/key.bin"], ManifestPassthrough: passthrough },
    outputPath: join(folder, `${name}.img`),
  });
  const workspaceDir = join(folder, name, "workspace");
  await mkdir(workspaceDir, { recursive: true });
  await writeFile(join(workspaceDir, "input"), "an input");
  const consolePath = join(folder, `${name}.log`);
  const outcome: VmOutcome = await provider.run(
    {
      attemptId: name,
      imagePath: image.path,
      imageChecksum: image.checksum,
      workspaceDir,
      memMib: 512,
      cpus: 1,
      gpuDevices: [],
      consolePath,
      consoleLimitBytes: 65_536,
      deadlineMs: 120_000,
    },
    {},
  );
  const text = await readFile(join(workspaceDir, "found.json"), "utf8");
  return { outcome, found: JSON.parse(text), console: await readFile(consolePath, "utf8") };
}

test("a program finds in its VM what its manifest says", async () => {
  const readOnly = await boot("image-ro", { readonly_rootfs: "true" });
  expect(readOnly.outcome).toEqual({ kind: "exited", exitCode: 137 });
  expect(readOnly.console).toContain("said on the console");
  const { random, ...found } = readOnly.found;
  expect(found).toEqual({
    argv: ["/usr/bin/node", "/program.mjs", ...ARGS],
    env: { USER: "root", PWD: "/", HOME: "/root", PATH: "/usr/local/bin:/usr/bin:/bin", ...ENV },
    cwd: "/",
    user: "root",
    host: "gevulot",
    key: "a key",
    input: "an input",
    root: "EROFS",
    tmp: "ok",
    loopback: "hi",
    large: true,
  });

  const writable = await boot("image-rw", {});
  expect(writable.found).toMatchObject({ root: "ok", key: "a key" });
  expect(writable.found.random).not.toBe(random);
});
