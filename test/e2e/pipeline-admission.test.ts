import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { Client, credentials, status as grpc } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadProtos } from "../../devnet/src/pipeline/wire/protos.ts";
import { createPipelineNet, type PipelineNet, type StageClient } from "../fixtures/pipeline/pipelineNet.ts";
import { signCall } from "../fixtures/pipeline/signRequest.ts";

const COMPUTING = 2;
const INVALID_PARAMETER = 3;
const ELF = Buffer.from("an ELF");
const ELF_ID = createHash("sha256").update(ELF).digest("hex");

let net: PipelineNet;
let client: StageClient;
let stageAddr: string;
let url: string;
let base: string;
beforeAll(async () => {
  net = await createPipelineNet();
  base = join(net.dir, "stage");
  const stage = await net.stage({ api_addr: "127.0.0.1:0" });
  stageAddr = stage.addr;
  client = net.client(stageAddr);
  url = `http://127.0.0.1:${stage.apiPort}`;
});
afterAll(() => net[Symbol.asyncDispose]());

describe("what a stage takes", () => {
  it("keeps an ELF under its SHA-256, whatever the request calls it", async () => {
    for (const elf_id of ["../../escaped", "0".repeat(64), "x"]) {
      const answer = await client.submit({ elf_data: ELF, elf_id });
      expect(answer).toMatchObject({ status: INVALID_PARAMETER });
      expect(answer.error_message).toContain("elf_id is not the SHA-256 of elf_data");
    }
    for (const elf_id of ["", `0x${ELF_ID}`]) {
      expect(await client.submit({ elf_data: ELF, elf_id })).toMatchObject({ status: COMPUTING });
    }
    expect(await readdir(join(base, "elf"))).toEqual([ELF_ID]);
    expect(await readdir(net.dir)).not.toContain("escaped");
  });

  it("lets the one whose run it is write into the run's folder, of two that ask at once", async () => {
    const races = Array.from({ length: 8 }, async () => {
      const proof_id = randomUUID();
      const asked = ["one", "two"].map((text) => ({
        proof_id,
        public_input_stream: Buffer.from(text.repeat(10_000)),
      }));
      const answers = await Promise.all(asked.map((request) => client.submit(request)));
      expect(answers.map(({ status }) => status).sort()).toEqual([COMPUTING, INVALID_PARAMETER]);
      const taken = asked[answers.findIndex(({ status }) => status === COMPUTING)]!;
      const stored = join(base, "proof", proof_id, "input_stream", "public_input");
      expect(await readFile(stored)).toEqual(taken.public_input_stream);
    });
    await Promise.all(races);
  });

  it("takes the largest numbers of the wire, and keeps the request as the existing service does", async () => {
    const proof_id = randomUUID();
    const largest = { max_prover_num: 2 ** 32 - 1, block_no: String(2n ** 64n - 1n) };
    expect(await client.submit({ proof_id, ...largest })).toMatchObject({ status: COMPUTING });
    const other = randomUUID();
    expect(await client.submit({ proof_id: other, block_no: "7" })).toMatchObject({ status: COMPUTING });
    const { rows } = await net.database.query<{ context: string }>(
      "select context from stage_task where id = any ($1) order by id = $2",
      [[proof_id, other], other],
    );
    const run = join(base, "proof", other);
    expect(rows.map(({ context }) => JSON.parse(context))).toMatchObject([
      largest,
      {
        block_no: 7,
        prove_path: join(run, "prove"),
        agg_path: join(run, "aggregate"),
        snark_path: join(run, "snark", "proof_with_public_inputs.json"),
      },
    ]);
  });

  it("knows no run by what is no name", async () => {
    for (const id of ["\0", "../x", ""])
      await expect(client.status(id)).rejects.toMatchObject({ code: grpc.NOT_FOUND });
  });

  it("takes names as long as a file's may be", async () => {
    const proof_id = `${"n".repeat(178)}${randomUUID()}`;
    const block_data = [{ file_name: "é".repeat(107), file_content: Buffer.of(1) }];
    expect(await client.submit({ proof_id, block_data })).toMatchObject({ status: COMPUTING });
    const longer = await client.submit({ proof_id: `${proof_id}n` });
    expect(longer.error_message).toContain("invalid proof_id, only a single file name of at most 214 bytes");
  });
});

describe("which nodes a stage takes", () => {
  const hello = (change: object = {}) => ({
    ...{ node_id: "a", name: "a", addr: "127.0.0.1:1", can: ["snark"], slots: 1, waiting_room: 1 },
    ...{ cores: 1, mem_mib: "1", gpus: 0, labels: [], base_id: "", ...change },
  });
  /** The stage's answer to a node that registers: a beat, or why not. */
  const attend = (addr: string, change?: object): Promise<string> => {
    const { path, requestSerialize, responseDeserialize } = loadProtos().stageNodes.Attend!;
    const node = net.closing(new Client(addr, credentials.createInsecure()));
    const call = node.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    return new Promise((resolve) => {
      call.on("data", () => resolve("taken"));
      call.on("error", (error) => resolve(error.message));
      call.write({ hello: hello(change) });
    });
  };

  it("keeps a node's name for it, and takes none that it can't dial", async () => {
    const stage = await net.stage();
    expect(await attend(stage.addr)).toBe("taken");
    expect(await attend(stage.addr, { addr: "127.0.0.1:2" })).toContain('another node is registered as "a"');
    expect(await attend(stage.addr, { node_id: "b" })).toBe("taken");
    expect(await attend(stage.addr, { node_id: "c", addr: "" })).toContain("can't dial");
  });

  it("keeps to the listed ones where it is told to", async () => {
    const stage = await net.stage({ prover_addrs: ["127.0.0.1:1"], accept_nodes: false });
    expect(await attend(stage.addr)).toContain("prover_addrs only: set accept_nodes = true");
  });

  it("stores nothing that no split of its sends", async () => {
    const { path, requestSerialize, responseDeserialize } = loadProtos().stageData.Put!;
    const node = net.closing(new Client(stageAddr, credentials.createInsecure()));
    const data = Buffer.from("of nobody");
    const sha256 = createHash("sha256").update(data).digest("hex");
    const reason = await new Promise((resolve) => {
      const call = node.makeClientStreamRequest(path, requestSerialize, responseDeserialize, (error) =>
        resolve(error?.message),
      );
      call.end({ head: { sha256, total_bytes: "9", computed_request_id: randomUUID(), file: "vk" }, data });
    });
    expect(reason).toContain("no such split runs");
    expect(await readdir(join(base, "blob"))).not.toContain(sha256.slice(0, 2));
  });
});

describe("what the HTTP API refuses", () => {
  const call = async (method: string, path: string, body?: string) => {
    const headers = { authorization: signCall(method, path, body) };
    const response = await fetch(`${url}${path}`, { method, headers, ...(body !== undefined && { body }) });
    return { status: response.status, error: ((await response.json()) as { error: string }).error };
  };
  const submit = async (change: object) => {
    const elf = await net.database.query<{ hash: string }>(
      "select context::jsonb -> 'files' ->> (context::jsonb ->> 'elf_path') as hash from stage_task limit 1",
    );
    const body = { proof_id: randomUUID(), elf: elf.rows[0]!.hash, ...change };
    return call("POST", "/v1/runs", JSON.stringify(body));
  };

  it.each([
    ["segments too small", { seg_size: 1_023 }, "invalid seg_size support [1024-4194304]"],
    ["segments too large for the wire", { seg_size: 2 ** 32 }, "seg_size"],
    [
      "a block of more than 64 bits",
      { block_no: String(2n ** 64n) },
      "block_no must be a whole number of 64 bits",
    ],
  ])("%s", async (_, change, error) => {
    const answer = await submit(change);
    expect(answer.status).toBe(400);
    expect(answer.error).toContain(error);
  });

  it("data of more than 1 GiB, before it comes", async () => {
    const path = `/v1/blobs/${"0".repeat(64)}`;
    const headers = {
      authorization: signCall("PUT", path, null),
      "content-length": String(2 ** 30 + 1),
    };
    const asked = request(`${url}${path}`, { method: "PUT", headers });
    asked.flushHeaders();
    const [response] = (await once(asked, "response")) as [IncomingMessage];
    expect(response.statusCode).toBe(413);
    expect(await text(response)).toContain("at most 1073741824 bytes");
    asked.destroy();
  });

  it("takes the highest block", async () => {
    expect(await submit({ block_no: String(2n ** 64n - 1n) })).toMatchObject({ status: 201 });
  });

  it.each([
    ["GET", "/v1/runs/%", 404, "there is no run"],
    ["GET", "/v1/runs?state=foo", 400, "state is running or finished"],
    ["GET", "//", 400, "is no path"],
  ])("%s %s", async (method, path, status, error) => {
    const answer = await call(method, path);
    expect(answer.status).toBe(status);
    expect(answer.error).toContain(error);
  });
});
