import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { ChannelCredentials, Client, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GRPC_OPTIONS } from "../../devnet/src/pipeline/wire/grpcLimits.ts";
import type { WireTaskResponse } from "../../devnet/src/pipeline/wire/messages.ts";
import { loadProtos } from "../../devnet/src/pipeline/wire/protos.ts";
import { createExistingNode, GOOD_METHODS } from "../fixtures/pipeline/existingNode.ts";
import { createPipelineNet, type PipelineNet } from "../fixtures/pipeline/pipelineNet.ts";
import { createReadableProver } from "../fixtures/pipeline/readableProver.ts";

const SUCCESS = 0;
const MIB = 2 ** 20;
const work = (segments: number, pad = 0) => ({
  public_input_stream: Buffer.from(JSON.stringify({ segments, pad })),
});

let net: PipelineNet;
beforeAll(async () => {
  net = await createPipelineNet();
});
afterAll(() => net?.[Symbol.asyncDispose]());

/** A stage of its own database and base folder. */
async function startStage(name: string, change: Parameters<PipelineNet["stage"]>[0]) {
  const own = { database_url: await net.postgres.createDatabase(name), base_dir: join(net.dir, name) };
  return net.stage({ ...own, ...change });
}

describe("how nodes and stage get at the data", () => {
  it("registered nodes that share the base folder read and leave their files there", async () => {
    await using stage = await startStage("registered", {});
    const own = { base_dir: join(net.dir, "registered") };
    const begun: string[] = [];
    for (const name of ["one", "two"]) {
      const run = createReadableProver({ onStep: (step) => begun.push(`${name} ${step}`) });
      await net.prover(name, stage.addr, own, run);
    }
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit({
      ...work(4),
      block_no: "7",
      block_data: [{ file_name: "extra", file_content: Buffer.from("block") }],
    });
    const end = await client.finished(id!);
    expect(end).toMatchObject({ status: SUCCESS, error_message: "" });
    expect(String(end.proof_with_public_inputs)).toBe("wrap(final-agg(agg(p0,p1),agg(p2,p3)))");
    expect(new Set(begun.map((line) => line.split(" ")[0])).size).toBe(2);
    const folder = join(own.base_dir, "proof", id!);
    expect(await readFile(join(folder, "segment", "segments.txt"), "utf8")).toBe("4");
    expect(await readFile(join(folder, "0_7", "extra"), "utf8")).toBe("block");
  });

  it("our node does what an existing stage asks: paths alone, packed with gzip", async () => {
    const base = join(net.dir, "theirs");
    const own = { base_dir: `${base}/`, stage_addrs: [] };
    const node = await net.prover("ours", "", own, createReadableProver());
    const gzip = { ...GRPC_OPTIONS, "grpc.default_compression_algorithm": 2 };
    const stage = net.closing(
      new Client(`127.0.0.1:${node.port}`, ChannelCredentials.createInsecure(), gzip),
    );
    const call = (method: string, request: object) =>
      new Promise<WireTaskResponse>((resolve, reject) => {
        const { path, requestSerialize, responseDeserialize } = loadProtos().prover[method]!;
        const whole = { proof_id: "run", computed_request_id: randomUUID(), ...request };
        stage.makeUnaryRequest(path, requestSerialize, responseDeserialize, whole, (error, answer) =>
          error ? reject(error) : resolve(answer as WireTaskResponse),
        );
      });
    const run = join(base, "proof", "run");
    const input = join(run, "input_stream", "public_input");
    await mkdir(join(run, "input_stream"), { recursive: true });
    await writeFile(join(run, "elf"), "an ELF");
    await writeFile(input, '{"segments":2}');
    const elf_path = join(run, "elf");
    const split = await call("SplitElf", {
      ...{ elf_path, base_dir: `${base}/`, seg_path: join(run, "segment"), seg_size: 65_536 },
      ...{ public_input_path: input, output_path: join(run, "output_stream", "output_stream") },
    });
    expect(split).toMatchObject({ result: { code: 0 }, total_steps: "7", total_segments: 2 });
    expect(await readFile(join(run, "segment", "segments.txt"), "utf8")).toBe("2");
    expect(await readFile(join(run, "vk.bin"), "utf8")).toBe("key");
    const segment = (index: number) => join(run, "segment", String(index));
    const proves = await Promise.all(
      [0, 1].map((index) => call("Prove", { elf_path, segment: segment(index), index })),
    );
    const inputs = proves.map(({ output_receipt }) => ({ receipt_input: output_receipt }));
    const { agg_receipt } = await call("Aggregate", { inputs, is_final: true });
    expect(String(agg_receipt)).toBe("final-agg(p0,p1)");
    const end = await call("SnarkProof", { agg_receipt, version: 0 });
    expect(String(end.snark_proof_with_public_inputs)).toBe("wrap(final-agg(p0,p1))");
    const outside = await call("Prove", { elf_path: "/etc/passwd", segment: segment(0) });
    expect(outside.result).toMatchObject({ code: 1, message: expect.stringContaining("base_dir") });
  });

  it("messages beyond the 4 MiB that a gRPC server takes unless told otherwise", async () => {
    await using stage = await startStage("large", {});
    await net.prover("large", stage.addr, {}, createReadableProver());
    const client = net.client(stage.addr);
    const pad = 5 * MIB;
    const { proof_id: id } = await client.submit({
      ...work(2, pad),
      elf_data: Buffer.alloc(6 * MIB, 1),
      private_input_stream: Buffer.alloc(5 * MIB, 2),
    });
    const end = await client.finished(id!, 60_000, 200);
    expect(end).toMatchObject({ status: SUCCESS, error_message: "" });
    const proof = String(end.proof_with_public_inputs);
    expect(proof.replace(/_+/g, (run) => `<${run.length}>`)).toBe(`wrap(final-agg(p0<${pad}>,p1<${pad}>))`);
  });

  it("a listed node over TLS shows its certificate, and asks the stage for one", async () => {
    const tls = createCertificates();
    const [ca, key, cert] = await Promise.all(
      [tls.ca_cert_path, tls.key_path, tls.cert_path].map((path) => readFile(path)),
    );
    const secure = ServerCredentials.createSsl(ca!, [{ private_key: key!, cert_chain: cert! }], true);
    await using node = await createExistingNode(GOOD_METHODS, { credentials: secure });
    await using stage = await startStage("tls", { ...tls, prover_addrs: [node.addr] });
    const client = net.client(stage.addr, ChannelCredentials.createSsl(ca!, key!, cert!));
    const { proof_id: id } = await client.submit();
    expect(await client.finished(id!)).toMatchObject({ status: SUCCESS, error_message: "" });
    expect(node.calls).toHaveLength(5);
  });
});

function createCertificates() {
  const request = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  const about = ["-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"];
  const files = ["-keyout", "key.pem", "-out", "cert.pem"];
  execFileSync("openssl", [...request, ...about, ...files], { cwd: net.dir, stdio: "pipe" });
  const path = (name: string) => join(net.dir, name);
  return { ca_cert_path: path("cert.pem"), cert_path: path("cert.pem"), key_path: path("key.pem") };
}
