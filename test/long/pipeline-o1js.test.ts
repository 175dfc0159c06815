import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { commandsOf, pipelineO1js, proofCommand, verifyCommand } from "../../examples/pipeline-o1js/app.ts";
import { findBuild } from "../../examples/toolchain.ts";
import { createPipelineNet } from "../fixtures/pipeline/pipelineNet.ts";

/** Minutes, and 2 GB for each process: only where the example was built. */
const RUN_MS = 60 * 60_000;
const dir = mkdtempSync(join(tmpdir(), "gevulot-o1js-"));
afterAll(() => rmSync(dir, { recursive: true }));

test("a chain of hashes is proved with o1js, and the proof checked", { timeout: RUN_MS }, async (context) => {
  const buildDir = findBuild(pipelineO1js);
  if (buildDir === null)
    return context.skip("examples/pipeline-o1js is not built: its main.ts does it, in some minutes");
  await using net = await createPipelineNet();
  const stage = await net.stage({ steps: { verify: { command: [...verifyCommand(buildDir)] } } });
  const steps = Object.fromEntries(
    Object.entries(commandsOf(buildDir)).map(([step, command]) => [step, { command: [...command] }]),
  );
  await net.prover("a", stage.addr, { steps });
  const user = net.client(stage.addr);
  const work = { start: 42, length: 301, segments: 3 };
  const { proof_id: id } = await user.submit({ public_input_stream: Buffer.from(JSON.stringify(work)) });
  const end = await user.finished(id!, RUN_MS);
  expect(end).toMatchObject({ status: 0, error_message: "", total_steps: "301" });

  const file = join(dir, "proof");
  const check = (start: number, length: number): string => {
    const [program, ...args] = [...proofCommand(buildDir), file, String(start), String(length)];
    return execFileSync(program!, args, { encoding: "utf8", stdio: "pipe" }).trim();
  };
  const step = (asked: object): void => {
    writeFileSync(join(dir, "public_input"), JSON.stringify(asked));
    const [program, ...args] = verifyCommand(buildDir).map((word) => (word === "{in}" ? dir : word));
    execFileSync(program!, args, { stdio: "pipe", env: { ...process.env, GEVULOT_KIND: "snark" } });
  };
  const proof = JSON.parse(String(end.proof_with_public_inputs));
  writeFileSync(file, JSON.stringify(proof));
  expect(check(42, 301)).toBe(`valid: 301 hashes from 42 end in ${end.output_stream}`);
  expect(() => check(42, 300)).toThrow("it is about 301 hashes from 42");
  expect(() => step({ start: 42, length: 300 })).toThrow("it is not about the chain that was asked for");
  const [first, last, length] = proof.publicInput;
  writeFileSync(file, JSON.stringify({ ...proof, publicInput: [first, last, String(Number(length) + 1)] }));
  expect(() => check(42, 302)).toThrow("the proof does not verify");
});
