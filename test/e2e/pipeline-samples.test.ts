import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { migratePipeline } from "../../devnet/src/pipeline/store/migratePipeline.ts";
import { addUser } from "../../devnet/src/pipeline/store/users.ts";
import { freePort } from "../../devnet/src/up/ports.ts";
import { createPipelineNet, FAST_PROVER, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";
import { startPipelineProcess } from "../fixtures/pipeline/pipelineProcess.ts";
import { USER } from "../fixtures/pipeline/signRequest.ts";

let net: PipelineNet;
beforeAll(async () => {
  net = await createPipelineNet();
  await migratePipeline(net.database);
  await addUser(net.database, USER);
});
afterAll(() => net?.[Symbol.asyncDispose]());

async function writeConfig(name: string, text: string): Promise<string> {
  const path = join(net.dir, name);
  await writeFile(path, text);
  return path;
}

describe("the existing service's sample configurations", () => {
  it("start by the command with its options, and do a run whose proof lies under the URL that was given", async () => {
    const base = join(net.dir, "test_data");
    await mkdir(base);
    const [stagePort, filePort, nodePort] = [await freePort(), await freePort(), await freePort()];
    // As published, but for addresses and paths.
    const stageConfig = await writeConfig(
      "stage.toml",
      `addr = "0.0.0.0:${stagePort}"
prover_addrs = ["127.0.0.1:${nodePort}"]
database_url = "${net.databaseUrl}"
base_dir = "${base}"
fileserver_url = "http://0.0.0.0:${filePort}/public"
fileserver_addr = "0.0.0.0:${filePort}"
`,
    );
    const sample = `addr = "0.0.0.0:${nodePort}"
prover_addrs = []
base_dir = "${base}"
proving_key_paths = ["${join(net.dir, "proving.key")}"]
`;
    await writeFile(join(net.dir, "proving.key"), "a key");
    const bareConfig = await writeConfig("bare.toml", sample);
    const [stage, bare] = await Promise.all([
      startPipelineProcess("stage", stageConfig, ["--stage"]),
      startPipelineProcess("prover", bareConfig),
    ]);
    await using _stage = stage;
    await bare[Symbol.asyncDispose]();
    // A node of ours must be told what its steps run.
    const command = JSON.stringify([process.execPath, FAST_PROVER, "{in}", "{out}"]);
    const steps = ["split", "prove", "agg", "snark"].map((step) => `${step} = { command = ${command} }`);
    const proverConfig = await writeConfig("prover.toml", `${sample}\n[steps]\n${steps.join("\n")}\n`);

    await using _node = await startPipelineProcess("prover", proverConfig);
    const client = net.client(`127.0.0.1:${stagePort}`);
    const { proof_id: id } = await client.submit({ public_input_stream: Buffer.from('{"segments":2}') });
    const end = await client.finished(id!);
    expect(end).toMatchObject({ status: 0, step: 5, error_message: "" });
    const proof = await fetch(end.snark_proof_url!);
    expect(await proof.text()).toBe(String(end.proof_with_public_inputs));
    expect(await (await fetch(end.public_values_url!)).json()).toEqual({ segments: 2 });
  });
});
