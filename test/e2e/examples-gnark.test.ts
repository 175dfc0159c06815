import { readFileSync } from "node:fs";
import { startDevnet } from "gevulot-devnet";
import { expect, test } from "vitest";
import { app, buildImages, gnark, tipOf } from "../../examples/gnark/app.ts";
import { deployVerifier, failureOf, useExample } from "../fixtures/exampleProgram.ts";

const example = useExample(gnark, { buildMs: 10 * 60_000, buildImages });

test("a Go program as it is proves and verifies in virtual machines", async () => {
  await using net = await startDevnet();
  const seed = 42n;
  const tip = tipOf(example().buildDir, seed);
  const result = await app(net.client(), { ...example(), seed });
  const valid = `valid: the prover knows a seed whose chain ends in ${tip}`;
  expect(result).toMatchObject({ tip, verdict: valid, checkedHere: valid });
});

test("as a process of this machine; what it refuses fails in its own words", async () => {
  await using net = await startDevnet({ provider: "process" });
  const client = net.client();
  const { tip, proofFile, checkedHere } = await app(client, example());
  expect(checkedHere).toContain("valid: ");

  const wrong = await failureOf(app(client, { ...example(), seed: 5n, tip }));
  expect(wrong.message).toContain(`wrong seed: its chain ends in ${tipOf(example().buildDir, 5n)}`);
  expect(wrong.context.failure).toMatchObject({ code: "PROGRAM_FAILED", step: 0, exitCode: 1 });

  const verify = await deployVerifier(client, example().images.verifier);
  const proof = readFileSync(proofFile);
  const { proofs } = await verify(proof, [tip]);
  expect(new TextDecoder().decode(proofs[0]?.data)).toContain("valid: ");
  const flipped = Uint8Array.from(proof);
  flipped[40] = (flipped[40] ?? 0) ^ 1;
  expect((await failureOf(verify(flipped, [tip]))).message).toContain("proof refused: ");
  const twice = await failureOf(verify(Buffer.concat([proof, proof]), [tip]));
  expect(twice.message).toContain("164 bytes too many");
});
