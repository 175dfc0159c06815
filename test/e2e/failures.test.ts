import { mkdtempSync, rmSync } from "node:fs";
import { readdir, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { type GevulotClient, isGevulotError, type RunHandle, type RunStatus } from "gevulot-sdk";
import { checksumFile } from "gevulot-sdk/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { processesWith } from "../fixtures/cli.ts";

/** Everything that a task can end in, in real virtual machines; each must reach the app with its reason. */
const dir = mkdtempSync(join(tmpdir(), "failures-"));
const image = join(dir, "misbehave.img");
const TASK_DEADLINE_SECONDS = 20;
const resources = { memMib: 384, cpus: 1 };

let net: Devnet;
let client: GevulotClient;
let program: string;

beforeAll(async () => {
  const path = fileURLToPath(new URL("../fixtures/programs/misbehave.mjs", import.meta.url));
  await buildImage({ program: path, outputPath: image, manifest: { Mounts: { "%1": "/workspace" } } });
  net = await startDevnet({ taskDeadlineSeconds: TASK_DEADLINE_SECONDS, maxBodyMib: 1, memGb: 4 });
  client = net.client();
  program = await deploy(image);
});
afterAll(async () => {
  await net?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** The hash of a program made of an image. */
async function deploy(file: string, more = resources): Promise<string> {
  const source = { file, resources: more };
  const { prover } = await client.deploy({ name: "misbehave", prover: source, verifier: source });
  return prover.hash;
}

const send = (...args: string[]): Promise<RunHandle> => client.run({ steps: [{ program, args }] });

async function failureOf(run: RunHandle | Promise<RunHandle>) {
  try {
    await (await run).result();
  } catch (error) {
    if (!isGevulotError(error, "TASK_FAILED")) throw error;
    return error.context;
  }
  throw new Error("the run did not fail");
}

async function until(run: RunHandle, ready: (status: RunStatus) => boolean): Promise<RunStatus> {
  await expect.poll(async () => ready(await run.status())).toBe(true);
  return run.status();
}
const started = ({ tasks }: RunStatus) => tasks[0]?.attempts.at(-1)?.programStartedAt != null;

describe("a task's end reaches the app", () => {
  test("ok, with who ran it", async () => {
    const run = await send("ok", "a b", "ü");
    const { proofs } = await run.result();
    expect(new TextDecoder().decode(proofs[0]?.data)).toBe("done a b,ü");
    const [file] = proofs[0]?.files ?? [];
    expect(new TextDecoder().decode(await file?.bytes())).toBe("a b,ü");
    const [attempt] = (await run.status()).tasks[0]?.attempts ?? [];
    expect(attempt).toMatchObject({
      provider: "qemu",
      accelerator: expect.stringMatching(/^(kvm|tcg)$/),
      // As status says: "vhost-device-vsock (/usr/bin/vhost-device-vsock)".
      vsock: /^(vhost-vsock|vhost-device-vsock|none) \(.+\)$/.exec(net.nodes[0].vsock ?? "")?.[1],
      pid: expect.any(Number),
      imageChecksum: await checksumFile(image),
      consoleTail: expect.stringContaining("mode ok"),
    });
    const console = join(net.nodes[0].dataDir, "log", run.hash, "stdout.log");
    expect(await readFile(console, "utf8")).toContain("mode ok");
  });

  test.each<[string, string[], object]>([
    [
      "its own message",
      ["throw"],
      { code: "PROGRAM_FAILED", exitCode: 1, message: /^the program's own message/ },
    ],
    ["exit code 3", ["exit", "3"], { code: "PROGRAM_FAILED", exitCode: 3, message: /exit code 3/ }],
    [
      "no result",
      ["no-result"],
      { code: "RESULT_INVALID", exitCode: 0, message: /task_result.json is missing/ },
    ],
    ["a malformed result", ["bad-result"], { code: "RESULT_INVALID", message: /can't be read/ }],
    [
      "a missing result file",
      ["missing-file"],
      { code: "RESULT_INVALID", message: /none.bin.*does not exist/ },
    ],
    ["out of memory", ["memory"], { code: "OUT_OF_MEMORY", message: /384 MiB/ }],
    ["the deadline", ["forever"], { code: "DEADLINE", message: /within 20 s/ }],
  ])("%s", async (_, args, { message, ...wanted }: { message?: RegExp }) => {
    const { failure } = await failureOf(send(...args));
    expect(failure).toMatchObject({ step: 0, ...wanted });
    expect(failure.message).toMatch(message as RegExp);
    expect(failure.consoleTail).toContain(`mode ${args[0]}`);
  });

  test("QEMU killed in the middle of a proof", async () => {
    const run = await send("forever");
    const status = await until(run, started);
    process.kill(status.tasks[0]?.attempts[0]?.pid as number, "SIGKILL");
    const { failure, attempts } = await failureOf(run);
    expect(failure).toMatchObject({ code: "VM_DIED", message: expect.stringContaining("SIGKILL") });
    expect(attempts).toHaveLength(1);
  });

  test("a Run that is cancelled by its author", async () => {
    const run = await send("forever");
    await until(run, started);
    const { signTransaction, hexToBytes } = await import("gevulot-sdk/protocol");
    const secretKey = hexToBytes(net.accounts[0].secretKey);
    await client.sendTransaction(
      signTransaction({ payload: { kind: "cancel", parent: run.hash }, nonce: 1n, secretKey }),
    );
    expect((await failureOf(run)).failure.code).toBe("CANCELLED");
  });

  test("no image at all, refused at once; and one whose kernel is damaged, which does not boot", async () => {
    const noImage = join(dir, "no.img");
    await writeFile(noImage, Buffer.alloc(4_096, "x"));
    await expect(deploy(noImage)).rejects.toMatchObject({
      code: "REFUSED",
      message: expect.stringMatching(/"no\.img" can't be deployed: it is not an image made by/),
    });

    const bytes = await readFile(image);
    // The first partition holds the kernel.
    bytes.fill(0x5a, 2 ** 20 + 300_000, 2 ** 20 + 6_000_000);
    const damaged = join(dir, "damaged.img");
    await writeFile(damaged, bytes);
    program = await deploy(damaged);
    const begun = Date.now();
    const failed = (await failureOf(send("ok"))).failure;
    expect(failed.code).toBe("BOOT_FAILED");
    expect(failed.message.length).toBeGreaterThan("The image did not boot: ".length);
    expect(Date.now() - begun).toBeLessThan(120_000);
    program = await deploy(image);
  });

  test("a program that can never fit this machine fails at once", async () => {
    program = await deploy(image, { memMib: 5_000, cpus: 1 });
    const begun = Date.now();
    const { failure, attempts } = await failureOf(send("ok"));
    expect(failure).toMatchObject({ code: "CANNOT_FIT", message: expect.stringContaining("5000 MiB") });
    expect(attempts).toEqual([]);
    expect(Date.now() - begun).toBeLessThan(15_000);
    program = await deploy(image);
  });
});

describe("what the client is told at once", () => {
  test("a wrong checksum, an unknown program, a body over the limit", async () => {
    const wrong = {
      url: `${net.nodes[0].httpUrl}/images/${program}/misbehave.img`,
      checksum: "00".repeat(32),
    };
    await expect(client.deploy({ name: "x", prover: wrong, verifier: wrong })).rejects.toMatchObject({
      code: "REFUSED",
      message: expect.stringMatching(
        new RegExp(`0{64}[^]*${await checksumFile(image)}|${await checksumFile(image)}[^]*0{64}`),
      ),
    });
    await expect(client.run({ steps: [{ program: "ab".repeat(32) }] })).rejects.toMatchObject({
      code: "REFUSED",
      context: { kind: "MissingTx" },
    });
    const huge = "x".repeat(2 ** 20);
    await expect(client.run({ steps: [{ program, args: [huge] }] })).rejects.toThrow(
      /larger than 1048576 bytes/,
    );
  });

  test("a wait that is aborted, and one whose time is up", async () => {
    const run = await send("sleep", "6000");
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 200);
    await expect(run.result({ signal: abort.signal })).rejects.toMatchObject({ code: "CANCELLED" });
    await until(run, started);
    await expect(run.result({ timeoutMs: 1_500 })).rejects.toMatchObject({ code: "TIMED_OUT" });
    expect(new TextDecoder().decode((await run.result()).proofs[0]?.data)).toBe("slept");
  });
});

describe("what must not stop a Run", () => {
  test("Postgres stopped and started again under the node", async () => {
    const run = await send("sleep", "3000");
    await until(run, started);
    await net.postgres.stop();
    await expect(run.status()).rejects.toMatchObject({ code: "REFUSED", context: { kind: "InternalError" } });
    await new Promise((resolve) => setTimeout(resolve, 5_000));
    await net.postgres.start();
    expect(new TextDecoder().decode((await run.result()).proofs[0]?.data)).toBe("slept");
  });

  test("a node killed in the middle of a proof and started again; no QEMU is left meanwhile", async () => {
    const run = await send("sleep", "4000");
    await until(run, started);
    const waiting = run.result({ unreachableMs: 60_000 });
    // The node itself and its QEMU: the look below would find them.
    expect(await processesWith(net.nodes[0].dataDir)).toEqual([
      expect.stringContaining("gevulot-node"),
      expect.stringMatching(/qemu/),
    ]);
    await net.nodes[0].kill("SIGKILL");
    await expect.poll(() => processesWith(net.nodes[0].dataDir)).toEqual([]);
    await net.nodes[0].start();
    expect(new TextDecoder().decode((await waiting).proofs[0]?.data)).toBe("slept");
    const attempts = (await run.status()).tasks[0]?.attempts ?? [];
    expect(attempts.map(({ failure }) => failure?.code ?? null)).toEqual(["LOST", null]);
  });

  test("a node that is stopped takes its VM along, and nothing is left on the disk", async () => {
    const run = await send("forever");
    await until(run, started);
    await net.nodes[0].kill("SIGTERM");
    expect(await processesWith(net.nodes[0].dataDir)).toEqual([]);
    await net.nodes[0].start();
    await until(run, (status) => status.tasks[0]?.attempts.length === 2 && started(status));
    const attempts = (await run.status()).tasks[0]?.attempts ?? [];
    expect(await readdir(join(net.nodes[0].dataDir, "vmfiles"))).toEqual([
      `${(await run.status()).tasks[0]?.id}-2`,
    ]);
    expect(attempts[0]?.failure).toMatchObject({
      code: "LOST",
      message: "The node was stopped while the task ran.",
    });
  });
});
