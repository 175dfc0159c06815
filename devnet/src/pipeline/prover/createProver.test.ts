import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import {
  Client,
  credentials,
  Metadata,
  ResponderBuilder,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServerInterceptor,
  ServerListenerBuilder,
} from "@grpc/grpc-js";
import { pino } from "pino";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createStack } from "../../disposeStack.ts";
import { parsePipelineConfig } from "../config.ts";
import { createBlobStore } from "../data/blobStore.ts";
import { createDataService } from "../data/dataService.ts";
import { type FileList, setFileList } from "../data/fileList.ts";
import type { TaskMethod } from "../nodes/nodeClient.ts";
import type { StepRunner } from "../steps/stepRunner.ts";
import { bindServer } from "../wire/bindServer.ts";
import { METADATA_DATA_ADDR, type WireTaskResponse } from "../wire/messages.ts";
import { loadProtos } from "../wire/protos.ts";
import { createProver } from "./createProver.ts";

const log = pino({ level: "silent" });
const OK = { code: 0, message: "" };
let dir: string;
let stack: ReturnType<typeof createStack>;
beforeEach(async () => {
  stack = createStack();
  dir = await mkdtemp(join(tmpdir(), "gevulot-prover-"));
  stack.defer(() => rm(dir, { recursive: true, force: true }));
});
afterEach(() => stack[Symbol.asyncDispose]());

/** A node whose steps are `run`, and what calls it. */
async function startNode(run: StepRunner, lines = "") {
  const text = `addr = "127.0.0.1:0"\nbase_dir = "${join(dir, "base")}"\n${lines}
[steps]\nsplit = { command = ["split"] }\nprove = { command = ["prove"] }`;
  const config = parsePipelineConfig(text, "node.toml", "prover");
  const node = stack.use(await createProver({ log, runStep: run }, config));
  const client = new Client(`127.0.0.1:${node.port}`, credentials.createInsecure());
  stack.defer(async () => client.close());
  const call = (
    method: TaskMethod | "GetStatus",
    request: object,
    metadata = new Metadata(),
  ): Promise<WireTaskResponse> => {
    const { path, requestSerialize, responseDeserialize } = loadProtos().prover[method]!;
    const about = { proof_id: "run", computed_request_id: "task", ...request };
    return new Promise((resolve, reject) => {
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        about,
        metadata,
        (error, answer) => (error ? reject(error) : resolve(answer as WireTaskResponse)),
      );
    });
  };
  return Object.assign(call, { drain: () => node.drain() });
}

/** Leaves its segment, changed, as its receipt; and changes the segment. */
const proveInPlace: StepRunner = async (_step, { input, output }) => {
  const segment = join(input, "segment");
  await writeFile(join(output, "receipt"), `receipt of ${await readFile(segment, "utf8")}`);
  await writeFile(segment, "overwritten");
};

describe("what a node says of itself", () => {
  it("is the memory that it was given, and that it takes nothing while it drains", async () => {
    const call = await startNode(proveInPlace, "mem_gib = 1");
    expect(await call("GetStatus", {})).toMatchObject({ status: 3, total_memory: String(2 ** 30) });
    call.drain();
    expect(await call("GetStatus", {})).toMatchObject({ status: 4 });
  });
});

describe("a node that shares the stage's base folder", () => {
  const run = () => join(dir, "base", "proof", "run");

  it("leaves a split's files where the existing service's nodes do", async () => {
    const call = await startNode(async (_step, { output }) => {
      await mkdir(join(output, "deferred"));
      for (const name of ["output_stream", "public_values", "vk", "segments/0", "deferred/1"])
        await writeFile(join(output, name), `the ${name}`);
      await writeFile(join(output, "total_steps"), "9");
    });
    await mkdir(run(), { recursive: true });
    await writeFile(join(run(), "elf"), "");
    const paths = {
      base_dir: run(),
      elf_path: join(run(), "elf"),
      seg_path: join(run(), "segment"),
      output_path: join(run(), "output_stream", "output_stream"),
    };
    expect(await call("SplitElf", paths)).toMatchObject({ result: OK, total_segments: 1, total_steps: "9" });
    for (const [path, text] of Object.entries({
      "output_stream/output_stream": "the output_stream",
      "wrap/public_values.json": "the public_values",
      "wrap/public_values.bin": "the public_values",
      "vk.bin": "the vk",
      "segment/0": "the segments/0",
      "segment/deferred_proof_65537": "the deferred/1",
      "segment/segments.txt": "1",
    }))
      expect(await readFile(join(run(), path), "utf8")).toBe(text);
    // An earlier start of the split, which went otherwise.
    await writeFile(join(run(), "segment", "deferred_proof_65538"), "of an earlier start");
    // Stages of zkm2 want no output_stream.
    await rm(join(run(), "output_stream"), { recursive: true });
    const second = { ...paths, computed_request_id: "second", output_path: "" };
    expect(await call("SplitElf", second)).toMatchObject({ result: OK });
    await expect(stat(join(run(), "output_stream"))).rejects.toThrow("ENOENT");
    const left = await readdir(join(run(), "segment"));
    expect(left.sort()).toEqual(["0", "deferred_proof_65537", "segments.txt"]);
  });

  it("waits for a segment that is not seen yet, and keeps it from the step that writes into it", async () => {
    const call = await startNode(proveInPlace);
    await mkdir(join(run(), "segment"), { recursive: true });
    await writeFile(join(run(), "elf"), "");
    const segment = join(run(), "segment", "0");
    const answer = call("Prove", { segment, elf_path: join(run(), "elf") });
    await delay(400);
    await writeFile(segment, "segment 0");
    expect(await answer).toMatchObject({ result: OK, output_receipt: Buffer.from("receipt of segment 0") });
    expect(await readFile(segment, "utf8")).toBe("segment 0");
  });
});

describe("a node without the stage's base folder", () => {
  const blobs = () => createBlobStore(join(dir, "stage"));

  /** The data of a stage that only knows that it listens everywhere; who takes that for this machine's usual address finds nobody. */
  async function startStageData() {
    const tokens = new Set<string>();
    const note: ServerInterceptor = (_method, call) => {
      const started = new ServerListenerBuilder().withOnReceiveMetadata((metadata, next) => {
        tokens.add(metadata.get("gevulot-node-token").join());
        next(metadata);
      });
      const responder = new ResponderBuilder().withStart((next) => next(started.build())).build();
      return new ServerInterceptingCall(call, responder);
    };
    const server = new Server({ interceptors: [note] });
    const nothing = async (): Promise<void> => {};
    server.addService(
      loadProtos().stageData,
      createDataService({ blobs: blobs(), expects: () => true, onSegment: nothing, onFile: nothing }),
    );
    const port = await bindServer(server, "127.0.0.2:0", ServerCredentials.createInsecure());
    stack.defer(async () => server.forceShutdown());
    const elf = await blobs().put(Buffer.from("elf"));
    return {
      ...{ port, tokens },
      lines: `advertise_addr = "127.0.0.1:1"\nstage_addrs = ["127.0.0.2:${port}"]`,
      async metadata(segment: string, more: FileList = {}) {
        const { hash } = await blobs().put(Buffer.from(segment));
        const metadata = new Metadata();
        metadata.set(METADATA_DATA_ADDR, `0.0.0.0:${port}`);
        await setFileList(metadata, { elf: elf.hash, segment: hash, ...more }, blobs());
        return metadata;
      },
    };
  }
  const paths = { segment: "segment", elf_path: "elf" };

  it("fetches, and keeps what it fetched from the step that writes into it", async () => {
    const stage = await startStageData();
    const call = await startNode(proveInPlace, stage.lines);
    const metadata = await stage.metadata("one");
    for (const id of ["a", "b"]) {
      expect(await call("Prove", { ...paths, computed_request_id: id }, metadata)).toMatchObject({
        ...{ result: OK, output_receipt: Buffer.from("receipt of one") },
      });
    }
  });

  it("gives its node_token to the stages that it was given, and to no address of a caller's", async () => {
    const stage = await startStageData();
    const token = 'node_token = "known-to-few-nodes"';
    const metadata = await stage.metadata("one");
    metadata.set(METADATA_DATA_ADDR, `127.0.0.2:${stage.port}`);
    const stranger = await startNode(proveInPlace, token);
    expect(await stranger("Prove", paths, metadata)).toMatchObject({ result: OK });
    expect([...stage.tokens]).toEqual([""]);
    await rm(join(dir, "base"), { recursive: true });
    const known = await startNode(proveInPlace, `${stage.lines}\n${token}`);
    stage.tokens.clear();
    expect(await known("Prove", paths, metadata)).toMatchObject({ result: OK });
    expect([...stage.tokens]).toEqual(["known-to-few-nodes"]);
  });

  it("fetches a block of very many files", async () => {
    const stage = await startStageData();
    const call = await startNode(async (_step, { input, output }) => {
      const names = await readdir(join(input, "block"));
      await writeFile(join(output, "total_steps"), String(names.length));
      await writeFile(join(output, "segments", "0"), "");
    }, stage.lines);
    const { hash } = await blobs().put(Buffer.from("a file of a block"));
    // As the stage places it.
    const root = join(dir, "stage", "proof", "run");
    const block = Array.from({ length: 2_000 }, (_, index) => [join(root, "0_7", `file-${index}`), hash]);
    const metadata = await stage.metadata("", Object.fromEntries(block));
    const paths = { base_dir: root, elf_path: "elf", seg_path: "segment", block_no: "7" };
    expect(await call("SplitElf", paths, metadata)).toMatchObject({ result: OK, total_steps: "2000" });
  });

  it("gives its steps their keys, from its disk or by their hash from the stage", async () => {
    const stage = await startStageData();
    const file = join(dir, "proving.key");
    await writeFile(file, "a proving key");
    const { hash } = await blobs().put(Buffer.from("a verifying key"));
    const lines = `${stage.lines}\nproving_key_paths = ["${file}", "sha256:${hash}"]`;
    const call = await startNode(async (_step, { input, output }) => {
      const read = (index: number) => readFile(join(input, "keys", String(index)), "utf8");
      await writeFile(join(output, "receipt"), `${await read(0)}, ${await read(1)}`);
    }, lines);
    expect(await call("Prove", paths, await stage.metadata("one"))).toMatchObject({
      ...{ result: OK, output_receipt: Buffer.from("a proving key, a verifying key") },
    });
  });
});
