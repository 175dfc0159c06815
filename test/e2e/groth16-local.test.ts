import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { calculateWitness } from "../../examples/groth16/programs/witness.mjs";
import { type LocalResult, runLocal } from "../../examples/groth16/run-local.ts";
import { setupCircuit } from "../../examples/groth16/setup.ts";

const PREIMAGE = "1234567890123456789012345678901234567890";
const PROOF = "/workspace/proof.json";
const PUBLIC = "/workspace/public.json";

let circuitDir: string;
let hash: string;
let proven: LocalResult;
let proof: Buffer;
let publicSignals: Buffer;

beforeAll(async () => {
  circuitDir = (await setupCircuit({})).dir;
  hash = String(calculateWitness(readFileSync(join(circuitDir, "preimage.wasm")), BigInt(PREIMAGE)).hash);
  proven = await prove([hash], JSON.stringify({ preimage: PREIMAGE }));
  proof = Buffer.from(proven.files.get(PROOF) ?? "");
  publicSignals = Buffer.from(proven.files.get(PUBLIC) ?? "");
});

function prove(args: string[], witness: string | null): Promise<LocalResult> {
  const inputs = witness === null ? {} : { "/workspace/witness.json": witness };
  return runLocal({ program: "prover", circuitDir, args, inputs });
}

function verify(args: string[], inputs: Record<string, string | Uint8Array>): Promise<LocalResult> {
  return runLocal({ program: "verifier", circuitDir, args, inputs });
}

describe("a good proof", () => {
  test("Poseidon's own test value comes out of the circuit", () => {
    // poseidon([1]) as circomlib's reference gives it.
    const wasm = readFileSync(join(circuitDir, "preimage.wasm"));
    expect(calculateWitness(wasm, 1n).hash).toBe(
      18586133768512220936620570745912940619677854269274689475585506675881198879027n,
    );
  });

  test("is made, is the result, and is accepted", async () => {
    expect(proven.error).toBeNull();
    expect(proven.exitCode).toBe(0);
    expect(Buffer.from(proven.data)).toEqual(proof);
    expect(JSON.parse(String(publicSignals))).toEqual([hash]);
    const verified = await verify([hash], { [PROOF]: proof, [PUBLIC]: publicSignals });
    expect(verified.error).toBeNull();
    expect(verified.exitCode).toBe(0);
    expect(Buffer.from(verified.data).toString()).toBe(`valid: the prover knows a preimage of ${hash}`);
  });

  test("hides its witness: two proofs of one statement differ, and both hold", async () => {
    const another = await prove([hash], JSON.stringify({ preimage: PREIMAGE }));
    expect(Buffer.from(another.data)).not.toEqual(proof);
    const files = { [PROOF]: another.data, [PUBLIC]: publicSignals };
    expect((await verify([hash], files)).error).toBeNull();
  });
});

describe("the prover refuses", () => {
  const wrong: readonly [name: string, args: () => string[], witness: string | null, message: string][] = [
    ["a wrong witness", () => [hash], '{"preimage":"7"}', "wrong witness: the preimage hashes to "],
    [
      "a missing input",
      () => [hash],
      null,
      "the task has no input file /workspace/witness.json: it has no input files",
    ],
    ["no argument", () => [], '{"preimage":"7"}', "the claimed hash, is not a decimal number"],
    ["a hash in hex", () => ["0x12"], '{"preimage":"7"}', "the claimed hash, is not a decimal number"],
    ["an input that is not JSON", () => [hash], "{", "witness.json can't be read: "],
    [
      "an input without a preimage",
      () => [hash],
      "null",
      "the preimage in witness.json is not a decimal number",
    ],
    [
      "a preimage as number",
      () => [hash],
      '{"preimage":7}',
      "the preimage in witness.json is not a decimal number",
    ],
    [
      "a preimage beyond the field",
      () => [hash],
      `{"preimage":"${"9".repeat(78)}"}`,
      "is not below 218882428",
    ],
  ];
  test.each(wrong)("%s", async (_name, args, witness, message) => {
    const result = await prove(args(), witness);
    expect(result.exitCode).toBe(1);
    expect(result.error).toContain(message);
    // The message comes first, for people; where it was thrown comes after.
    expect(result.error?.split("\n")[0]).toContain(message);
    expect(result.files.size).toBe(0);
  });
});

describe("the verifier refuses", () => {
  test("one flipped bit, wherever it is", async () => {
    const text = String(proof);
    const places: readonly [at: number, bit: number, message: string][] = [
      [text.indexOf('"pi_a":["') + 20, 0, "proof refused: it does not show"],
      [text.indexOf('"pi_b":[["') + 20, 0, "proof refused: it does not show"],
      [text.indexOf('"pi_c":["') + 20, 0, "proof refused: it does not show"],
      // snarkjs does not look at these.
      [text.indexOf("groth16"), 0, "proof refused: the proof's protocol is not groth16"],
      [text.indexOf("bn128"), 0, "proof refused: the proof's curve is not bn128"],
      [0, 0, "proof refused: the proof is not JSON"],
    ];
    for (const [at, bit, message] of places) {
      const flipped = flip(proof, at, bit);
      const result = await verify([hash], { [PROOF]: flipped, [PUBLIC]: publicSignals });
      expect(result.error, `byte ${at}`).toContain(message);
      expect(result.exitCode).toBe(1);
    }
  });

  test("a flipped bit in the public signal", async () => {
    const result = await verify([hash], { [PROOF]: proof, [PUBLIC]: flip(publicSignals, 10, 0) });
    expect(result.error).toMatch(/^proof refused: it is for the hash \d+, and the claimed hash is \d+/);
  });

  test("a good proof for another hash, with public signals to match", async () => {
    const other = String(BigInt(hash) - 1n);
    const result = await verify([other], { [PROOF]: proof, [PUBLIC]: JSON.stringify([other]) });
    expect(result.error).toContain(
      `proof refused: it does not show that anyone knows a preimage of ${other}`,
    );
  });

  test("another spelling of the same proof", async () => {
    const prime = 21888242871839275222246405745257275088696311157297823662689037894645226208583n;
    const value = JSON.parse(String(proof));
    value.pi_a[0] = String(BigInt(value.pi_a[0]) + prime);
    const result = await verify([hash], { [PROOF]: JSON.stringify(value), [PUBLIC]: publicSignals });
    expect(result.error).toContain("the proof's pi_a is not below");
  });

  test("missing files and missing argument", async () => {
    const noPublic = await verify([hash], { [PROOF]: proof });
    expect(noPublic.error).toContain(`the task has no input file ${PUBLIC}: it has ${PROOF}`);
    const noHash = await verify([], { [PROOF]: proof, [PUBLIC]: publicSignals });
    expect(noHash.error).toContain("the claimed hash, is not a decimal number");
  });
});

function flip(bytes: Uint8Array, at: number, bit: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[at] = (copy[at] ?? 0) ^ (1 << bit);
  return copy;
}

describe("the set-up", () => {
  const cacheDir = mkdtempSync(join(tmpdir(), "groth16-cache-"));
  afterAll(() => rmSync(cacheDir, { recursive: true, force: true }));

  test("an abandoned one leaves nothing", async () => {
    const stop = new AbortController();
    const made = setupCircuit({ cacheDir, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(made).rejects.toThrow(/abort/i);
    expect(readdirSync(join(cacheDir, "groth16"))).toEqual([]);
  });

  test("two at once end in one folder, a third finds it, and what was abandoned is gone", async () => {
    const abandoned = join(cacheDir, "groth16", ".making-old");
    mkdirSync(abandoned);
    utimesSync(abandoned, 0, 0);
    const steps: string[] = [];
    const two = await Promise.all([
      setupCircuit({ cacheDir, onProgress: (step) => steps.push(step) }),
      setupCircuit({ cacheDir }),
    ]);
    expect(two[0].dir).toBe(two[1].dir);
    expect(steps).toContain("powers of tau");
    expect(await setupCircuit({ cacheDir })).toEqual({ dir: two[0].dir, cached: true });
    expect(readdirSync(join(cacheDir, "groth16"))).toHaveLength(1);
    expect(readdirSync(two[0].dir).sort()).toEqual([
      "bn128.json",
      "bn128.wasm",
      "preimage.circom",
      "preimage.wasm",
      "preimage.zkey",
      "verification_key.json",
    ]);
  });
});
