import { readFileSync } from "node:fs";
import { startDevnet } from "gevulot-devnet";
import { expect, test } from "vitest";
import { app, buildImages, plonky2, tipOf } from "../../examples/plonky2/app.ts";
import { deployVerifier, failureOf, useExample } from "../fixtures/exampleProgram.ts";

const example = useExample(plonky2, { buildMs: 15 * 60_000, buildImages });

test("a Rust program as it is proves and verifies in virtual machines", async () => {
  await using net = await startDevnet();
  const result = await app(net.client(), { ...example(), seed: "42" });
  const valid = `valid: 1000 hashes from 42 end in ${tipOf(example().buildDir, "42")}`;
  expect(result).toMatchObject({ verdict: valid, checkedHere: valid });
});

test("as a process of this machine; what it refuses fails in its own words", async () => {
  await using net = await startDevnet({ provider: "process" });
  const client = net.client();
  const { seed, proofFile, checkedHere } = await app(client, example());
  expect(checkedHere).toContain("valid: ");

  const wrong = await failureOf(app(client, { ...example(), seed: "18446744069414584321" }));
  expect(wrong.message).toContain("is no number below the field's prime");
  expect(wrong.context.failure).toMatchObject({ code: "PROGRAM_FAILED", step: 0, exitCode: 1 });

  const verify = await deployVerifier(client, example().images.verifier);
  const proof = readFileSync(proofFile);
  const { proofs } = await verify(proof, [seed]);
  expect(new TextDecoder().decode(proofs[0]?.data)).toContain("valid: ");
  const flipped = Uint8Array.from(proof);
  flipped[5_000] = (flipped[5_000] ?? 0) ^ 1;
  for (const [refused, args] of [
    [flipped, [seed]],
    [proof.subarray(0, 1_000), [seed]],
    [Buffer.concat([proof, proof]), [seed]],
    [proof, ["7"]],
  ] as const) {
    expect((await failureOf(verify(refused, args))).message).toContain("proof refused: ");
  }
});
