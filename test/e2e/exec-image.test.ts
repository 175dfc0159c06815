import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BuiltImage, buildImage, type Devnet, startDevnet } from "gevulot-devnet";
import { isGevulotError } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeDockerArchive } from "../fixtures/makeContainer.ts";

/** Programs that know nothing of tasks, one static and one with shared libraries, from an app to a verified proof. */
const folder = mkdtempSync(join(tmpdir(), "gevulot-exec-"));
const ODD_ARGS = ["it's", "", 'ü "$HOME"\n`id`'];
const MAX_OVER_KERNEL_BYTES = 12_000_000;
const [IN, PROOF, CLAIM] = ["/workspace/in.txt", "/workspace/proof.txt", "/workspace/claim.txt"];
let images: { readonly prover: BuiltImage; readonly verifier: BuiltImage } | null = null;

function compile(name: string, ...flags: string[]): string {
  const code = fileURLToPath(new URL("../fixtures/programs/squares.c", import.meta.url));
  execFileSync("gcc", ["-O1", "-Wall", "-o", name, code, ...flags, "-lm"], { cwd: folder, stdio: "pipe" });
  return join(folder, name);
}

beforeAll(async () => {
  try {
    execFileSync("gcc", ["--version"], { stdio: "pipe" });
  } catch {
    return;
  }
  images = {
    prover: await buildImage({
      program: compile("prover", "-static"),
      outputPath: join(folder, "prover.img"),
      args: ["prove", IN, PROOF, "{args}", "last"],
      exec: { outputs: ["*.txt"] },
    }),
    verifier: await buildImage({
      program: compile("verifier"),
      outputPath: join(folder, "verifier.img"),
      args: ["verify"],
      exec: {},
    }),
  };
});

/** A container with two layers, whose program is a script in a folder of its own. */
async function buildContainer(): Promise<BuiltImage> {
  const script = '#!/bin/sh\npwd\necho "$0 $* $LEVEL"\n/bin/busybox cat data\n';
  const archive = makeDockerArchive({
    layers: [
      [
        { path: "usr/bin/busybox", data: readFileSync("/bin/busybox"), mode: 0o755 },
        { path: "usr/bin/sh", type: "2", target: "busybox" },
        { path: "bin", type: "2", target: "usr/bin" },
        { path: "app/run.sh", data: script, mode: 0o755 },
        { path: "app/data", data: "of the lower layer\n" },
      ],
      [{ path: "app/data", data: "of the upper layer\n" }],
    ],
    config: { Entrypoint: ["./run.sh"], Cmd: ["x"], Env: ["LEVEL=3"], WorkingDir: "/app" },
  });
  writeFileSync(join(folder, "container.tar"), archive);
  return buildImage({
    fromContainer: join(folder, "container.tar"),
    outputPath: join(folder, "container.img"),
    manifest: { RunConfig: { Memory: "256m", CPUs: 1 } },
    exec: {},
  });
}
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("a static program's image is small, and without Node.js", (context) => {
  if (images === null) return context.skip("gcc is not installed");
  const { sizeBytes, kernel, versions, runtime } = images.prover;
  expect(sizeBytes - kernel.length).toBeLessThan(MAX_OVER_KERNEL_BYTES);
  expect([versions.node, runtime]).toEqual([undefined, []]);
  expect(images.verifier.runtime).toContainEqual(expect.stringMatching(/libm\.so\.6$/));
});

describe.each(["process", "qemu"] as const)("provider %s", (provider) => {
  let net: Devnet;
  beforeAll(async () => {
    net = await startDevnet({ provider });
  });
  afterAll(() => net?.close());

  async function prove(input: string) {
    const { prover, verifier } = images as NonNullable<typeof images>;
    const resources = { memMib: 256, cpus: 1 };
    const client = net.client();
    const deployed = await client.deploy({
      name: "squares",
      prover: { file: prover.path, resources },
      verifier: { file: verifier.path, resources },
    });
    const run = await client.prove({
      ...deployed,
      args: ODD_ARGS,
      inputs: [{ data: new TextEncoder().encode(input), vmPath: IN }],
      verifierArgs: [CLAIM, PROOF],
      verifierInputs: [{ data: new TextEncoder().encode("12"), vmPath: CLAIM }, PROOF],
    });
    return run.result();
  }

  async function failureOf(run: ReturnType<typeof prove>) {
    const error = await run.catch((cause: unknown) => cause);
    if (!isGevulotError(error, "TASK_FAILED")) throw error;
    return error.context.failure;
  }

  test("a proof is made and verified", async (context) => {
    if (images === null) return context.skip("gcc is not installed");
    const { proofs, verifications } = await prove("12");
    const text = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes);
    expect(text(proofs[0]?.data)).toBe(`${[...ODD_ARGS, "last"].map((arg) => `[${arg}]`).join("")}\n`);
    // The input is none of its outputs.
    expect(proofs[0]?.files.map(({ vmPath }) => vmPath)).toEqual([PROOF]);
    expect(text(await proofs[0]?.files[0]?.bytes())).toBe("144\n");
    expect(text(verifications[0]?.data)).toBe("valid\n");
  });

  test("a verifier that rejects says why", async (context) => {
    if (images === null) return context.skip("gcc is not installed");
    const failure = await failureOf(prove("11"));
    expect(failure).toMatchObject({ step: 1, code: "PROGRAM_FAILED", exitCode: 3 });
    expect(failure.message).toMatch(/^verifier ended with exit code 3: 121 is not the square of 12/);
    expect(failure.consoleTail).toContain("121 is not the square of 12");
  });

  test("a crash is told by its signal", async (context) => {
    if (images === null) return context.skip("gcc is not installed");
    const failure = await failureOf(prove("13"));
    expect(failure).toMatchObject({ step: 0, code: "PROGRAM_FAILED", signal: "SIGILL" });
  });

  test("a container's program, with what its manifest asks for", async (context) => {
    if (provider === "process") return context.skip("a container's libraries and folder are not the host's");
    const { path: file } = await buildContainer();
    const client = net.client();
    const { prover } = await client.deploy({ name: "container", prover: { file }, verifier: { file } });
    expect(prover.resources).toEqual({ memMib: 256n, cpus: 1n, gpus: 0n });
    const run = await client.run({ steps: [{ program: prover.hash, args: ["it's"] }] });
    const { proofs } = await run.result();
    const text = new TextDecoder().decode(proofs[0]?.data);
    expect(text).toBe("/app\n/app/run.sh x it's 3\nof the upper layer\n");
  });
});
