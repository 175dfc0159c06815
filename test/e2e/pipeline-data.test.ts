import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { ChannelCredentials, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bincodeList } from "../../devnet/src/pipeline/stage/runInputs.ts";
import { createDatabase } from "../../devnet/src/store/database.ts";
import { createExistingNode } from "../fixtures/pipeline/existingNode.ts";
import { createExistingStage } from "../fixtures/pipeline/existingStage.ts";
import { existingMethods } from "../fixtures/pipeline/existingWork.ts";
import { createPipelineNet, type PipelineNet, quiet } from "../fixtures/pipeline/pipelineNet.ts";
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

  it("our node works for an existing stage, which names the run's folder and sends paths alone", async () => {
    // As it may stand in both configurations.
    const base_dir = `${join(net.dir, "theirs")}/`;
    const node = await net.prover("ours", "", { base_dir, stage_addrs: [] }, createReadableProver());
    const stageOf = (version: "zkm" | "zkm2") =>
      net.closing(createExistingStage(node.port, { baseDir: base_dir, version }));
    const first = stageOf("zkm");
    const given = { publicInput: '{"segments":3}', block: { input: "block" }, receiptInputs: ["r"] };
    const one = await first.run(given);
    expect(one.proof).toBe("wrap(final-agg(agg(p0+r,p1+r),p2+r))");
    const read = (run: { readonly folder: string }, name: string) => readFile(join(run.folder, name), "utf8");
    expect(await read(one, "segment/segments.txt")).toBe("3");
    expect(await read(one, "output_stream/output_stream")).toBe("|block");
    expect(await read(one, "wrap/public_values.json")).toBe('{"segments":3}');
    const second = stageOf("zkm2");
    const two = await second.run({ privateInput: bincodeList([Buffer.from("in")]), receiptInputs: ["r"] });
    expect(two.proof).toBe("wrap(final-agg(agg(first(p0+r,key),leaf(p1+r,key)),deferred(d(r),key)))");
    const alone = await second.run({
      publicInput: "public",
      privateInput: Buffer.from("in"),
      singleNode: true,
    });
    expect(alone.proof).toBe("single(an ELF,public,in)");
    const outside = { elf_path: "/etc/passwd", segment: join(one.folder, "segment", "0") };
    const { result } = await first.call("Prove", { proof_id: "x", computed_request_id: "x", ...outside });
    expect(result).toMatchObject({ code: 1, message: expect.stringContaining("base_dir") });
  });

  it("existing nodes of zkm find and leave all of a run with a block where they look for it", async () => {
    const base = join(net.dir, "first");
    await using node = await createExistingNode(existingMethods(base));
    await using stage = await startStage("first", {
      prover_addrs: [node.addr],
      base_dir: `${base}/`,
      fileserver_url: "http://proofs",
    });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit({
      block_no: "7",
      block_data: [{ file_name: "input", file_content: Buffer.from("block") }],
      public_input_stream: Buffer.from("public"),
      private_input_stream: Buffer.from("private"),
      receipt_inputs: [Buffer.from("r")],
      receipts: [Buffer.from("not read")],
    });
    const end = await client.finished(id!);
    expect(end).toMatchObject({ status: SUCCESS, error_message: "" });
    expect(String(end.proof_with_public_inputs)).toBe("wrap(final-agg(p0+r,p1+r))");
    expect(String(end.output_stream)).toBe("an ELF|public|private|r|block");
    expect(end.stark_proof_url).toBe(`http://proofs/${id}/wrap/proof_with_public_inputs.json`);
  });

  it("existing nodes of zkm2 do so too: with proofs of other runs, alone, and from a receipt without an ELF", async () => {
    const base = join(net.dir, "second");
    await using node = await createExistingNode(existingMethods(base, "zkm2"));
    const listed = { prover_version: "zkm2" as const, prover_addrs: [node.addr] };
    await using stage = await startStage("second", { ...listed, fileserver_addr: "127.0.0.1:0" });
    const client = net.client(stage.addr);
    const run = async (request: object) => {
      const { proof_id: id, error_message: refused } = await client.submit(request);
      expect(refused).toBe("");
      const end = await client.finished(id!);
      expect(end).toMatchObject({ status: SUCCESS, error_message: "" });
      const values = await fetch(`http://127.0.0.1:${stage.filePort}/${id}/wrap/public_values.bin`);
      return { proof: String(end.proof_with_public_inputs), values: await values.text(), is: values.status };
    };
    const private_input_stream = bincodeList([Buffer.from("a"), Buffer.from("b")]);
    const receipt_inputs = [Buffer.from("r"), Buffer.from("s")];
    const given = { private_input_stream, receipt_inputs };
    const key = "key of an ELF";
    const deferred = `agg(deferred(d(r),${key}),deferred(d(s),${key}))`;
    expect(await run(given)).toEqual({
      proof: `wrap(final-agg(agg(first(p0,${key}),leaf(p1,${key})),${deferred}))`,
      ...{ values: "a|b", is: 200 },
    });
    const all = "an ELF|a|b|r|s";
    expect(await run({ ...given, single_node: true })).toMatchObject({
      proof: `single(${all})`,
      values: all,
    });
    const wrapped = { from_step: 3, receipt_inputs, elf_data: Buffer.alloc(0) };
    expect(await run(wrapped)).toEqual({ proof: "given-wrap(r)", values: "", is: 200 });
  });

  it("a run that an earlier release began ends as it would have", async () => {
    const database_url = await net.postgres.createDatabase("earlier");
    await using stage = await startStage("earlier", { database_url, prover_version: "zkm2" });
    const client = net.client(stage.addr);
    const { proof_id: id } = await client.submit({ ...work(2), receipts: [Buffer.from("r")] });
    await using database = await createDatabase({ log: quiet }, { url: database_url });
    const base = JSON.stringify(join(net.dir, "earlier"));
    await database.query(
      `update stage_task set context = jsonb_set(context::jsonb, '{base_dir}', $2)::text,
         shape = jsonb_set(shape, '{deferredProofs}', '1') where id = $1`,
      [id, base],
    );
    await net.prover("later", stage.addr, {}, createReadableProver());
    const end = await client.finished(id!);
    expect(end).toMatchObject({ status: SUCCESS, error_message: "" });
    expect(String(end.proof_with_public_inputs)).toBe(
      "wrap(final-agg(agg(first(p0,key),leaf(p1,key)),deferred(r,key)))",
    );
  });

  it("messages beyond the 4 MiB that a gRPC server takes unless told otherwise", async () => {
    // From wherever it is started, and with a slash.
    const base_dir = `${relative(process.cwd(), join(net.dir, "large"))}/`;
    await using stage = await startStage("large", { base_dir });
    await net.prover("large node", stage.addr, {}, createReadableProver());
    const client = net.client(stage.addr);
    const pad = 5 * MIB;
    const { proof_id: id } = await client.submit({
      ...work(2, pad),
      elf_data: Buffer.alloc(6 * MIB, 1),
      private_input_stream: Buffer.alloc(5 * MIB, 2),
      block_data: [{ file_name: "input", file_content: Buffer.from("block") }],
    });
    const end = await client.finished(id!, 60_000, 200);
    expect(end).toMatchObject({ status: SUCCESS, error_message: "" });
    expect(end.output_stream!.length).toBe(5 * MIB + "|block".length);
    const proof = String(end.proof_with_public_inputs);
    expect(proof.replace(/_+/g, (run) => `<${run.length}>`)).toBe(`wrap(final-agg(p0<${pad}>,p1<${pad}>))`);
  });

  it("a listed node over TLS shows its certificate, and asks the stage for one", async () => {
    const tls = createCertificates();
    const [ca, key, cert] = await Promise.all(
      [tls.ca_cert_path, tls.key_path, tls.cert_path].map((path) => readFile(path)),
    );
    const secure = ServerCredentials.createSsl(ca!, [{ private_key: key!, cert_chain: cert! }], true);
    await using node = await createExistingNode(existingMethods(join(net.dir, "tls")), {
      credentials: secure,
    });
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
