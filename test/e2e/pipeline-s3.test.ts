import { existsSync, mkdtempSync, rmSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "minio";
import S3rver from "s3rver";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { createPipelineNet, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";

/** A stage and a node that share a bucket and nothing else, as the existing service's nodes share a folder. */
const KEY = "S3RVER";
const dir = mkdtempSync(join(tmpdir(), "pipeline-s3-"));
let server: S3rver;
let net: PipelineNet;
let base: { base_dir: string; s3_endpoint: string; s3_region: string };
let client: Client;

beforeAll(async () => {
  const bucket = { name: "proofs", configs: [] };
  const options = { address: "127.0.0.1", port: 0, silent: true, directory: join(dir, "s3") };
  server = new S3rver({ ...options, configureBuckets: [bucket] });
  const { port } = (await server.run()) as AddressInfo;
  base = {
    base_dir: "s3://proofs/of/ours",
    s3_endpoint: `http://127.0.0.1:${port}`,
    s3_region: "us-east-1",
  };
  vi.stubEnv("AWS_ACCESS_KEY_ID", KEY);
  vi.stubEnv("AWS_SECRET_ACCESS_KEY", KEY);
  const where = { endPoint: "127.0.0.1", port, useSSL: false, region: base.s3_region };
  client = new Client({ ...where, accessKey: KEY, secretKey: KEY, pathStyle: true });
  net = await createPipelineNet();
});
afterAll(async () => {
  await net?.[Symbol.asyncDispose]();
  await server?.close();
  vi.unstubAllEnvs();
  rmSync(dir, { recursive: true, force: true });
});

async function filesBelow(prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of client.listObjectsV2("proofs", prefix, true)) names.push(name);
  return names.map((name) => name.slice(prefix.length)).sort();
}

test("inputs, segments and proofs travel by the bucket, and another stage reads the result", async () => {
  const node = await net.prover("a", "", { ...base, cache_dir: join(dir, "node") });
  const stage = await net.stage({
    ...{ ...base, cache_dir: join(dir, "stage"), prover_addrs: [`127.0.0.1:${node.port}`] },
  });
  const user = net.client(stage.addr);
  const input = Buffer.from('{"segments":3}');
  const { proof_id: id } = await user.submit({
    public_input_stream: input,
    block_no: "7",
    block_data: [{ file_name: "extra", file_content: Buffer.from("block") }],
  });
  const end = await user.finished(id!);
  expect(end).toMatchObject({ status: 0, error_message: "" });
  expect(String(end.output_stream)).toBe("made 3");
  expect(await filesBelow(`of/ours/proof/${id}/`)).toEqual([
    "0_7/extra",
    "input_stream/public_input",
    "output_stream/output_stream",
    "segment/0",
    "segment/1",
    "segment/2",
    "segment/segments.txt",
    "snark/proof_with_public_inputs.json",
    "vk.bin",
    "wrap/public_values.bin",
    "wrap/public_values.json",
  ]);

  const other = await net.stage({ ...base, cache_dir: join(dir, "other") });
  const reader = net.client(other.addr);
  const seen = await reader.status(id!);
  expect(String(seen.proof_with_public_inputs)).toBe(String(end.proof_with_public_inputs));
  expect(String(seen.output_stream)).toBe("made 3");
});

test("a node that registers is known to have the same bucket: nothing travels by gRPC", async () => {
  const stage = await net.stage({ ...base, cache_dir: join(dir, "second") });
  const cache = join(dir, "registered");
  await net.prover("c", stage.addr, { ...base, cache_dir: cache });
  const user = net.client(stage.addr);
  const { proof_id: id } = await user.submit({ target_step: 1 });
  expect(await user.finished(id!)).toMatchObject({ status: 0, error_message: "" });
  // What it fetches from a stage is there.
  expect(existsSync(join(cache, "fetched"))).toBe(false);
  expect(existsSync(join(cache, "proof", id!, "segment", "segments.txt"))).toBe(true);
});

test.each([
  ["a bucket that is not there", { base_dir: "s3://nobodys/x" }, /there is no bucket nobodys/],
  ["nobody at the endpoint", { s3_endpoint: "http://127.0.0.1:9" }, /ECONNREFUSED.*Check base_dir, s3_end/],
])("%s is said at the start", async (_, change, message) => {
  const started = net.prover("b", "", { ...base, cache_dir: join(dir, "node"), ...change });
  await expect(started).rejects.toMatchObject({ code: "S3_FAILED", message: expect.stringMatching(message) });
});
