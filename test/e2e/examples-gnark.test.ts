import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startDevnet } from "gevulot-devnet";
import { isGevulotError } from "gevulot-sdk";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { app, buildImages, gnark, type Images, tipOf } from "../../examples/gnark/app.ts";
import { buildExample, whyNot } from "../../examples/toolchain.ts";

/** The first build compiles gnark. */
const BUILD_MS = 10 * 60_000;
const skipped = whyNot(gnark);
const outputDir = mkdtempSync(join(tmpdir(), "gevulot-gnark-"));
let buildDir: string;
let images: Images;

beforeAll(async () => {
  if (skipped !== null) return;
  buildDir = await buildExample(gnark);
  images = await buildImages(buildDir, outputDir);
}, BUILD_MS);
afterAll(() => rmSync(outputDir, { recursive: true, force: true }));
beforeEach((context) => {
  if (skipped !== null) context.skip(skipped);
});

test("a Go program as it is proves and verifies in virtual machines", async () => {
  await using net = await startDevnet();
  const seed = 42n;
  const tip = tipOf(buildDir, seed);
  const result = await app(net.client(), { images, buildDir, outputDir, seed });
  const valid = `valid: the prover knows a seed whose chain ends in ${tip}`;
  expect(result).toMatchObject({ tip, verdict: valid, checkedHere: valid });
});

test("as a process of this machine; what it refuses fails in its own words", async () => {
  await using net = await startDevnet({ provider: "process" });
  const client = net.client();
  const { tip, proofFile, checkedHere } = await app(client, { images, buildDir, outputDir });
  expect(checkedHere).toContain("valid: ");

  const wrong = await failureOf(app(client, { images, buildDir, outputDir, seed: 5n, tip }));
  expect(wrong.message).toContain(`wrong seed: its chain ends in ${tipOf(buildDir, 5n)}`);
  expect(wrong.context.failure).toMatchObject({ code: "PROGRAM_FAILED", step: 0, exitCode: 1 });

  const program = { file: images.verifier, resources: { memMib: 256, cpus: 1 } };
  const alone = await client.deploy({ name: "alone", prover: program, verifier: program });
  const verify = async (proof: Uint8Array) => {
    const inputs = [{ data: proof, vmPath: "/workspace/proof.bin" }];
    const run = await client.run({ steps: [{ program: alone.prover.hash, args: [tip], inputs }] });
    return run.result();
  };
  const proof = readFileSync(proofFile);
  const { proofs } = await verify(proof);
  expect(new TextDecoder().decode(proofs[0]?.data)).toContain("valid: ");
  const flipped = Uint8Array.from(proof);
  flipped[40] = (flipped[40] ?? 0) ^ 1;
  expect((await failureOf(verify(flipped))).message).toContain("proof refused: ");
  expect((await failureOf(verify(Buffer.concat([proof, proof])))).message).toContain("164 bytes too many");
});

async function failureOf(run: Promise<unknown>) {
  const error = await run.then(
    () => new Error("the run did not fail"),
    (reason: unknown) => reason,
  );
  if (!isGevulotError(error, "TASK_FAILED")) throw error;
  return error;
}
