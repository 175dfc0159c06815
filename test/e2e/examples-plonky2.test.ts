import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDevnet } from "gevulot-devnet";
import { isGevulotError } from "gevulot-sdk";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { app, buildImages, type Images, plonky2, tipOf } from "../../examples/plonky2/app.ts";
import { buildExample, whyNot } from "../../examples/toolchain.ts";

/** The first build compiles plonky2. */
const BUILD_MS = 15 * 60_000;
const skipped = whyNot(plonky2);
const outputDir = mkdtempSync(join(tmpdir(), "gevulot-plonky2-"));
let buildDir: string;
let images: Images;

beforeAll(async () => {
  if (skipped !== null) return;
  buildDir = await buildExample(plonky2);
  images = await buildImages(buildDir, outputDir);
}, BUILD_MS);
afterAll(() => rmSync(outputDir, { recursive: true, force: true }));
beforeEach((context) => {
  if (skipped !== null) context.skip(skipped);
});

test("a Rust program as it is proves and verifies in virtual machines", async () => {
  await using net = await startDevnet();
  const result = await app(net.client(), { images, buildDir, outputDir, seed: "42" });
  const valid = `valid: 1000 hashes from 42 end in ${tipOf(buildDir, "42")}`;
  expect(result).toMatchObject({ verdict: valid, checkedHere: valid });
});

test("as a process of this machine; what it refuses fails in its own words", async () => {
  await using net = await startDevnet({ provider: "process" });
  const client = net.client();
  const { seed, proofFile, checkedHere } = await app(client, { images, buildDir, outputDir });
  expect(checkedHere).toContain("valid: ");

  const wrong = await failureOf(app(client, { images, buildDir, outputDir, seed: "18446744069414584321" }));
  expect(wrong.message).toContain("is no number below the field's prime");
  expect(wrong.context.failure).toMatchObject({ code: "PROGRAM_FAILED", step: 0, exitCode: 1 });

  const program = { file: images.verifier, resources: { memMib: 256, cpus: 1 } };
  const alone = await client.deploy({ name: "alone", prover: program, verifier: program });
  const verify = async (proof: Uint8Array, args = [seed]) => {
    const inputs = [{ data: proof, vmPath: "/workspace/proof.bin" }];
    const run = await client.run({ steps: [{ program: alone.prover.hash, args, inputs }] });
    return run.result();
  };
  const proof = readFileSync(proofFile);
  const { proofs } = await verify(proof);
  expect(new TextDecoder().decode(proofs[0]?.data)).toContain("valid: ");
  const flipped = Uint8Array.from(proof);
  flipped[5_000] = (flipped[5_000] ?? 0) ^ 1;
  for (const [refused, args] of [
    [flipped, [seed]],
    [proof.subarray(0, 1_000), [seed]],
    [Buffer.concat([proof, proof]), [seed]],
    [proof, ["7"]],
  ] as const) {
    const failed = await failureOf(verify(refused, [...args]));
    expect(failed.message).toContain("proof refused: ");
  }
});

async function failureOf(run: Promise<unknown>) {
  const error = await run.then(
    () => new Error("the run did not fail"),
    (reason: unknown) => reason,
  );
  if (!isGevulotError(error, "TASK_FAILED")) throw error;
  return error;
}
