import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Devnet, startDevnet } from "gevulot-devnet";
import { isGevulotError, type RunStatus } from "gevulot-sdk";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { app } from "../../examples/groth16/app.ts";
import { buildImages } from "../../examples/groth16/images.ts";
import { setupCircuit } from "../../examples/groth16/setup.ts";

/** From the Run to its Verification: two cold virtual machines without hardware support. */
const MAX_RUN_MS = 120_000;
/** From a task's failure until the app knows. */
const MAX_NEWS_MS = 2_000;

const outputDir = mkdtempSync(join(tmpdir(), "groth16-e2e-"));
let circuitDir: string;
let images: Awaited<ReturnType<typeof buildImages>>;

beforeAll(async () => {
  circuitDir = (await setupCircuit()).dir;
  images = await buildImages({ circuitDir, outputDir });
});

afterAll(() => rmSync(outputDir, { recursive: true, force: true }));

describe.each(["process", "qemu"] as const)("from an app to a verified proof, provider %s", (provider) => {
  let net: Devnet;
  let hash: string;

  beforeAll(async () => {
    net = await startDevnet({ provider });
  });
  afterAll(() => net?.close());

  test("the app gets the verified proof", async () => {
    let last: RunStatus | undefined;
    const onStatus = (status: RunStatus) => {
      last = status;
    };
    const result = await app(net.client(), { images, circuitDir, outputDir, onStatus });
    hash = result.hash;
    expect(result.verdict).toBe(`valid: the prover knows a preimage of ${hash}`);
    expect(result.holdsHere).toBe(true);
    expect(last?.state).toBe("complete");
    expect(last?.tasks.map(({ kind }) => kind)).toEqual(["proof", "verification"]);
    for (const task of last?.tasks ?? [])
      expect(task.attempts.map((try_) => try_.provider)).toEqual([provider]);
    expect(Date.parse(last?.endedAt ?? "") - Date.parse(last?.submittedAt ?? "")).toBeLessThan(MAX_RUN_MS);
  });

  test("a wrong witness ends in the program's own words, soon", async () => {
    const failed = await failureOf(app(net.client(), { images, circuitDir, outputDir, preimage: 5n, hash }));
    expect(failed.message).toContain("wrong witness: the preimage hashes to ");
    expect(failed.context.step).toBe(0);
    expect(failed.context.failure.exitCode).toBe(1);
    const endedAt = Date.parse(failed.context.attempts.at(-1)?.endedAt ?? "");
    expect(failed.knownAt - endedAt).toBeLessThan(MAX_NEWS_MS);
  });

  test("a proof with one flipped bit is refused by the verifier", async () => {
    const client = net.client();
    // As the only step, so that it gets files that no prover made.
    const program = { file: images.verifier, resources: { memMib: 512, cpus: 1 } };
    const { prover: verifier } = await client.deploy({
      name: "verifier alone",
      prover: program,
      verifier: program,
    });
    const verify = async (proof: Uint8Array) => {
      const inputs = [
        { data: proof, vmPath: "/workspace/proof.json" },
        { file: join(outputDir, "public.json"), vmPath: "/workspace/public.json" },
      ];
      const run = await client.run({ steps: [{ program: verifier.hash, args: [hash], inputs }] });
      return run.result();
    };
    const proof = readFileSync(join(outputDir, "proof.json"));
    const accepted = await verify(proof);
    expect(new TextDecoder().decode(accepted.proofs[0]?.data)).toContain("valid: ");

    const flipped = Uint8Array.from(proof);
    const at = proof.indexOf('"pi_a":["') + 20;
    flipped[at] = (flipped[at] ?? 0) ^ 1;
    const failed = await failureOf(verify(flipped));
    expect(failed.message).toContain("proof refused: it does not show that anyone knows a preimage of ");
  });
});

async function failureOf(run: Promise<unknown>) {
  try {
    await run;
  } catch (error) {
    if (!isGevulotError(error, "TASK_FAILED")) throw error;
    return { message: error.message, context: error.context, knownAt: Date.now() };
  }
  throw new Error("the run did not fail");
}
