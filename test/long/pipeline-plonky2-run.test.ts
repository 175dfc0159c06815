import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { createPostgres, type Postgres } from "../../devnet/src/up/postgres.ts";
import {
  type Chain,
  commandsOf,
  pipelinePlonky2,
  verifyCommand,
  verifyProof,
} from "../../examples/pipeline-plonky2/app.ts";
import { type Commands, nodeToml, stageToml } from "../../examples/pipelineToml.ts";
import { buildExample, whyNot } from "../../examples/toolchain.ts";
import { runCli } from "../fixtures/cli.ts";
import { type PipelineProcess, startPipelineProcess } from "../fixtures/pipeline/pipelineProcess.ts";
import { type PythonGrpc, pythonGrpc, whyNoPython } from "../fixtures/pipeline/pythonGrpc.ts";
import { query } from "../fixtures/postgres.ts";

/** The first build compiles plonky2. */
const BUILD_MS = 15 * 60_000;
const RUN_MS = 10 * 60_000;
/** Hardhat's first account, known to everybody. */
const USER = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
const KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
const CLIENT = fileURLToPath(new URL("../../examples/pipeline-plonky2/client/client.py", import.meta.url));

const skipped = whyNot(pipelinePlonky2) ?? whyNoPython();
const dir = mkdtempSync(join(tmpdir(), "gevulot-pp-"));
let buildDir: string;
let grpc: PythonGrpc;
let postgres: Postgres;
let databaseUrl: string;
let stage: PipelineProcess;
const nodes: PipelineProcess[] = [];

beforeAll(async () => {
  if (skipped !== null) return;
  buildDir = await buildExample(pipelinePlonky2);
  grpc = await pythonGrpc();
  postgres = await createPostgres({ dataDir: join(dir, "pg"), durable: false });
  databaseUrl = await postgres.createDatabase("pipeline");
  const config = join(dir, "stage.toml");
  const toml = stageToml({
    ...{ baseDir: join(dir, "stage"), databaseUrl, addr: "127.0.0.1:0" },
    verify: verifyCommand(buildDir),
  });
  writeFileSync(config, `max_attempts = 2\n${toml}`);
  expect(await runCli("gevulot-devnet", ["pipeline", "user", "add", USER, "-c", config])).toMatchObject({
    code: 0,
  });
  stage = await startPipelineProcess("stage", config);
}, BUILD_MS);
afterAll(async () => {
  await stopNodes();
  await stage?.[Symbol.asyncDispose]();
  await postgres?.[Symbol.asyncDispose]();
  rmSync(dir, { recursive: true, force: true });
});
beforeEach((context) => {
  if (skipped !== null) context.skip(skipped);
});

test("a Python client has a chain proved by two nodes without a shared disk, and a verifier accepts it", {
  timeout: RUN_MS,
}, async () => {
  for (const name of ["a", "b"]) await startNode(name, logged(name, commandsOf(buildDir)));
  const chain = { start: 42, length: 4_003 };
  const { answer, file } = await prove(chain, 5);
  await stopNodes();
  expect(answer).toMatchObject({ status: "SUCCESS", error: "", totalSteps: chain.length });

  const last = answer.outputStream;
  expect(last).toMatch(/^[0-9a-f]{64}$/);
  const first = "2a".padStart(16, "0").padEnd(64, "0");
  expect(verifyProof(buildDir, file, chain)).toBe(`valid: 4003 hashes from ${first} end in ${last}`);
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ first, last, length: chain.length });
  expectRefusals(file, chain);

  const [ofA, ofB] = ["a", "b"].map(stepsRunOn);
  const tasks = await query<{ id: string; key: string }>(
    databaseUrl,
    `select id, key from prove_task where proof_id = '${answer.proofId}'`,
  );
  expect(tasks.map(({ key }) => key).sort()).toEqual(
    [
      "agg/1/0",
      "agg/1/1",
      "agg/2/0",
      "agg/3/0",
      "prove/0",
      "prove/1",
      "prove/2",
      "prove/3",
      "prove/4",
    ].concat(["snark", "split", "verify"]),
  );
  // The check runs at the stage, the others ran once each, on both nodes.
  const expected = tasks
    .filter(({ key }) => key !== "verify")
    .map(({ id, key }) => `${id} ${key.split("/")[0]}`);
  expect([...ofA!, ...ofB!].sort()).toEqual(expected.sort());
  for (const steps of [ofA!, ofB!]) expect(steps.some((line) => line.endsWith(" prove"))).toBe(true);
});

test("an altered receipt fails the run, and its node is named", { timeout: RUN_MS }, async () => {
  const { prove: proveCommand, ...others } = commandsOf(buildDir);
  await startNode("honest", others);
  // Does the work, then flips a byte of one receipt.
  const flip =
    '"$@" && [ "$GEVULOT_INDEX" = 0 ] || printf x | dd of="$0/receipt" bs=1 seek=5000 conv=notrunc status=none';
  await startNode("liar", { prove: ["sh", "-c", flip, "{out}", ...proveCommand] });
  const { answer } = await prove({ start: 7, length: 20 }, 2);
  await stopNodes();
  expect(answer).toMatchObject({ status: "PROVE_ERROR" });
  expect(answer.error).toMatch(/^the proof of segment 1 by node \S*liar\S* is not valid: /);
});

test("a split of another chain than the one asked for is found out, and its node is named", {
  timeout: RUN_MS,
}, async () => {
  const { split: splitCommand, ...others } = commandsOf(buildDir);
  await startNode("honest", others);
  const [program, step] = splitCommand!;
  // As if 19 hashes had been asked for.
  const cut =
    'mkdir "$0/in" && sed s/20/19/ "$1/public_input" >"$0/in/public_input" && "$2" "$3" "$0/in" "$0"';
  await startNode("cutter", { split: ["sh", "-c", cut, "{out}", "{in}", program!, step!] });
  const { answer } = await prove({ start: 7, length: 20 }, 2);
  await stopNodes();
  expect(answer).toMatchObject({ status: "SPLIT_ERROR" });
  expect(answer.error).toMatch(/^task split by node \S*cutter\S* is not valid: /);
});

test("work that can't be done fails with the prover's words", { timeout: RUN_MS }, async () => {
  await startNode("c", commandsOf(buildDir));
  const { answer } = await prove({ start: 7, length: 10_001 }, 2);
  await stopNodes();
  expect(answer).toMatchObject({ status: "SPLIT_ERROR" });
  expect(answer.error).toContain("a segment holds 5000 hashes at most: 10001 need 3 segments");
});

async function startNode(name: string, commands: Commands): Promise<void> {
  const config = join(dir, `${name}.toml`);
  const stageAddr = `127.0.0.1:${stage.port}`;
  const baseDir = join(dir, name);
  writeFileSync(config, nodeToml({ name, baseDir, addr: "127.0.0.1:0", stageAddr, commands }));
  nodes.push(await startPipelineProcess("prover", config));
}

async function stopNodes(): Promise<void> {
  await Promise.all(nodes.splice(0).map((node) => node[Symbol.asyncDispose]()));
}

/** The same commands, each start of which is noted in a file of the node. */
function logged(name: string, commands: Commands): Commands {
  const note = `echo "$GEVULOT_COMPUTED_REQUEST_ID $GEVULOT_STEP" >> "$0"; exec "$@"`;
  return Object.fromEntries(
    Object.entries(commands).map(([step, command]) => [
      step,
      ["sh", "-c", note, join(dir, `${name}.log`), ...command],
    ]),
  );
}

function stepsRunOn(name: string): string[] {
  return readFileSync(join(dir, `${name}.log`), "utf8")
    .trim()
    .split("\n");
}

interface Answer {
  readonly proofId: string;
  readonly status: string;
  readonly error: string;
  readonly outputStream: string;
  readonly totalSteps: number;
}

/** By the client in Python, which signs by itself. */
async function prove({ start, length }: Chain, segments: number): Promise<{ answer: Answer; file: string }> {
  const file = join(dir, "proof.json");
  const args = [CLIENT, `127.0.0.1:${stage.port}`, ...[start, length, segments].map(String), file];
  const env = {
    ...process.env,
    PIPELINE_KEY: KEY,
    PYTHONPATH: grpc.modules,
    PYTHONDONTWRITEBYTECODE: "1",
  };
  // Its exit code is 1 where the run failed.
  const { stdout, stderr } = await promisify(execFile)(grpc.python, args, { env, timeout: RUN_MS }).catch(
    (error: { stdout: string; stderr: string }) => error,
  );
  if (stdout === "") throw new Error(`the client ended without an answer: ${stderr}`);
  return { answer: JSON.parse(stdout), file };
}

/** Whatever is changed, the verifier refuses it. */
function expectRefusals(file: string, chain: Chain): void {
  const proof = JSON.parse(readFileSync(file, "utf8"));
  const refusal = (change: object, asked: Chain = chain): string => {
    const changed = join(dir, "changed.json");
    writeFileSync(changed, JSON.stringify({ ...proof, ...change }));
    try {
      return verifyProof(buildDir, changed, asked);
    } catch (error) {
      return (error as { stderr: string }).stderr;
    }
  };
  const flipped = proof.proof.replace(/^(.{9000})(.)/, (_: string, head: string, digit: string) =>
    head.concat(digit === "0" ? "1" : "0"),
  );
  expect(refusal({})).toContain("valid: ");
  expect(refusal({ proof: flipped })).toMatch(/^refused: /);
  expect(refusal({ proof: proof.proof.slice(0, 2_000) })).toMatch(/^refused: /);
  expect(refusal({ proof: `${proof.proof}00` })).toMatch(/^refused: /);
  expect(refusal({ length: 4_002 })).toContain("it claims something else than it proves");
  expect(refusal({ last: proof.first })).toContain("it claims something else than it proves");
  expect(refusal({}, { ...chain, start: 43 })).toContain("not of what was asked for");
  expect(refusal({}, { ...chain, length: 4_004 })).toContain("not of what was asked for");
}
