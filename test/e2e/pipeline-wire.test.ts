import { execFileSync } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readFile, stat, writeFile } from "node:fs/promises";
import { get } from "node:https";
import { join } from "node:path";
import { ChannelCredentials, Client } from "@grpc/grpc-js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadProtos } from "../../devnet/src/pipeline/wire/protos.ts";
import { createPipelineNet, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";
import { createReadableProver, type Misdeed } from "../fixtures/pipeline/readableProver.ts";
import { signRequest } from "../fixtures/pipeline/signRequest.ts";

const SUCCESS = 0;
const TWO = { public_input_stream: Buffer.from('{"segments":2}') };

let net: PipelineNet;
beforeEach(async () => {
  net = await createPipelineNet();
});
afterEach(async () => {
  await net[Symbol.asyncDispose]();
});

describe("the pipeline's wire", () => {
  it("works with listed nodes that share the base folder, as the existing ones do", async () => {
    const base_dir = join(net.dir, "shared");
    const node = await net.prover("listed", "", { base_dir, stage_addrs: [] });
    const stage = await net.stage({ base_dir, prover_addrs: [`127.0.0.1:${node.port}`] });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS, step: 5 });
    // Where the existing service's nodes and file server look.
    const run = join(base_dir, "proof", id!);
    expect(await readFile(join(run, "segment", "segments.txt"), "utf8")).toBe("2");
    expect(await readFile(join(run, "input_stream", "public_input"), "utf8")).toBe('{"segments":2}');
    expect(await readFile(join(run, "wrap", "public_values.json"), "utf8")).toBe('{"segments":2}');
    expect(await readFile(join(run, "snark", "proof_with_public_inputs.json"), "utf8")).toMatch(/^proof:/);
    await stat(join(base_dir, "elf", createHash("sha256").update("an ELF").digest("hex")));
  });

  it("a listed node of ours with a disk of its own gets its data over gRPC", async () => {
    const node = await net.prover("listed", "", { stage_addrs: [] });
    const stage = await net.stage({ prover_addrs: [`127.0.0.1:${node.port}`], accept_nodes: false });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS, step: 5 });
  });

  it("knows an ELF again by its id, also under the number that one old client uses", async () => {
    const stage = await net.stage();
    await net.prover("a", stage.addr);
    const client = net.client(stage.addr);
    const first = await client.submit({ ...TWO, target_step: 1 });
    await client.finished(first.proof_id!);
    const elfId = createHash("sha256").update("an ELF").digest("hex");
    const known = { ...TWO, target_step: 1, elf_data: Buffer.alloc(0) };
    const again = await client.submit({ ...known, elf_id: `0x${elfId}` });
    expect(await client.finished(again.proof_id!)).toMatchObject({ status: SUCCESS });

    const { path, requestSerialize, responseDeserialize } = loadProtos().stage.GenerateProof!;
    const request = { ...known, proof_id: randomUUID(), seg_size: 131_072 };
    const bytes = requestSerialize({ ...request, signature: signRequest(request) }) as Buffer;
    const oldField = Buffer.concat([Buffer.from([0x7a, 64]), Buffer.from(elfId)]);
    const raw = net.closing(new Client(stage.addr, ChannelCredentials.createInsecure()));
    const answer = await new Promise((resolve, reject) =>
      raw.makeUnaryRequest(
        path,
        () => Buffer.concat([bytes, oldField]),
        responseDeserialize,
        {},
        (error: Error | null, value: unknown) => (error ? reject(error) : resolve(value)),
      ),
    );
    expect(answer).toMatchObject({ status: 2, error_message: "", proof_id: request.proof_id });
  });

  it("zkm2: a leaf a segment with the key of the split, then layers; by the shared base folder", async () => {
    const base_dir = join(net.dir, "shared");
    const stage = await net.stage({ base_dir, prover_version: "zkm2", max_attempts: 1 });
    const node = await net.prover("a", stage.addr, { base_dir });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS, step: 5 });
    const { rows } = await net.database.query<{ key: string }>(
      "select key from prove_task where proof_id = $1 and itype = 3 order by key",
      [id],
    );
    expect(rows.map((row) => row.key)).toEqual(["agg/1/0", "leaf/0", "leaf/1"]);
    const left = (path: string) => readFile(join(base_dir, "proof", id!, path), "utf8");
    expect(await left("vk.bin")).toBe("the key");
    expect(await left("wrap/public_values.bin")).toBe('{"segments":2}');

    await node[Symbol.asyncDispose]();
    const split: Misdeed = async (output) => {
      await writeFile(join(output, "segments", "0"), "");
      await writeFile(join(output, "total_steps"), "7");
    };
    await net.prover("keyless", stage.addr, { base_dir }, createReadableProver({ instead: { split } }));
    const end = await client.finished((await client.submit(TWO)).proof_id!);
    expect(end.error_message).toMatch(/^task split failed on keyless: .*left no vk/);
  });

  it("a node gives a lost answer again, and tells of itself", async () => {
    const stage = await net.stage();
    const node = await net.prover("a", stage.addr);
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit(TWO);
    const end = await client.finished(id!);
    const { rows } = await net.database.query<{ id: string }>(
      "select id from prove_task where proof_id = $1 and key in ('agg/1/0', 'snark') order by key",
      [id],
    );
    const [agg, snark] = rows.map((row) => row.id);
    const { prover } = loadProtos();
    const raw = net.closing(new Client(`127.0.0.1:${node.port}`, ChannelCredentials.createInsecure()));
    const call = (method: string, request: object) => {
      const { path, requestSerialize, responseDeserialize } = prover[method]!;
      return new Promise((resolve, reject) =>
        raw.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, (error, value) =>
          error ? reject(error) : resolve(value),
        ),
      );
    };
    const ids = { proof_id: id, computed_request_id: snark };
    const kept = await call("GetTaskResult", ids);
    expect(kept).toMatchObject({ ...ids, result: { code: 0 }, output: end.proof_with_public_inputs });
    expect(await call("GetTaskResult", { ...ids, computed_request_id: "unknown" })).toMatchObject({
      result: { code: 1 },
    });
    // The same request again gets the kept answer; one that asks for another thing doesn't.
    const root = (await call("GetTaskResult", { ...ids, computed_request_id: agg })) as { output: Buffer };
    const again = { ...ids, agg_receipt: root.output };
    expect(await call("SnarkProof", again)).toMatchObject({
      snark_proof_with_public_inputs: end.proof_with_public_inputs,
    });
    const other = { ...ids, agg_receipt: Buffer.from("another") };
    expect(await call("SnarkProof", other)).toMatchObject({
      snark_proof_with_public_inputs: Buffer.from("proof:another"),
    });
    const status = (await call("GetStatus", {})) as Record<string, unknown>;
    expect(status).toMatchObject({ status: 3, prover_id: "a" });
    expect(Number(status.number_of_cores)).toBeGreaterThan(0);
    expect(Number(status.total_memory)).toBeGreaterThan(Number(status.free_memory));
  });

  it("speaks TLS, asks for certificates, and serves its proofs and its metrics", async () => {
    const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: net.dir, stdio: "pipe" });
    openssl(
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-days",
      "2",
      "-subj",
      "/CN=test",
      "-addext",
      "subjectAltName=IP:127.0.0.1,DNS:stage",
      "-keyout",
      "key.pem",
      "-out",
      "cert.pem",
    );
    const tls = {
      ca_cert_path: join(net.dir, "cert.pem"),
      cert_path: join(net.dir, "cert.pem"),
      key_path: join(net.dir, "key.pem"),
    };
    const any = "127.0.0.1:0";
    const stage = await net.stage({ ...tls, metrics_addr: any, fileserver_addr: any, api_addr: any });
    await net.prover("a", stage.addr, tls);
    const [ca, key, cert] = await Promise.all(
      [tls.ca_cert_path, tls.key_path, tls.cert_path].map((path) => readFile(path)),
    );
    const client = net.client(stage.addr, ChannelCredentials.createSsl(ca!, key!, cert!));
    const { proof_id: id } = await client.submit(TWO);
    const end = await client.finished(id!);
    expect(end).toMatchObject({ status: SUCCESS });

    const stranger = net.client(stage.addr, ChannelCredentials.createSsl(ca!));
    await expect(stranger.status(id!)).rejects.toThrow();

    // Who calls the HTTP API signs instead.
    const [api] = await once(
      get({ host: "127.0.0.1", port: stage.apiPort!, path: "/v1/runs", ca }),
      "response",
    );
    expect(api.statusCode).toBe(401);

    const files = `http://127.0.0.1:${stage.filePort}`;
    const proof = await fetch(`${files}/${id}/snark/proof_with_public_inputs.json`);
    expect(await proof.text()).toBe(String(end.proof_with_public_inputs));
    expect(await (await fetch(`${files}/${id}/wrap/public_values.json`)).json()).toEqual({ segments: 2 });
    for (const path of [
      `${id}/input_stream/public_input`,
      `${id}/segment/0`,
      "..%2f.gevulot-base",
      `${id}/snark/..%2f..%2fsegment%2f0`,
      `${id}/snark/`,
    ]) {
      expect((await fetch(`${files}/${path}`)).status, path).toBe(404);
    }
    const metrics = await (await fetch(`http://127.0.0.1:${stage.metricsPort}/any`)).text();
    expect(metrics).toContain('request_counter{method="stage::generate_proof"} 1');
    expect(metrics).toMatch(/method_cost_count\{method="stage::get_status"\} \d+/);
    expect(metrics).toContain("stage_segment_count 2");
  });
});
