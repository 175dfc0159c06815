/**
 * Throughput of the RPC: `npm run bench -- rpc`. A node with a durable PostgreSQL, no execution; 32 connections of this process,
 * which shares the machine's processors with both.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { blake3 } from "@noble/hashes/blake3.js";
import { startDevnet } from "gevulot-devnet";
import {
  bytesToHex,
  createProgramMetadata,
  signTransaction,
  type Transaction,
  transactionToJson,
} from "gevulot-sdk/protocol";
import { createFileHost } from "../fixtures/fileHost.ts";
import { type LoadResult, loadOverHttp } from "./load.ts";

const CONNECTIONS = 32;
const SENDS = Number(process.argv[2] ?? 10_000);
const READS = Number(process.argv[3] ?? 40_000);
const WANTED_SENDS = 1_000;
const WANTED_READS = 5_284;

const secretKey = new Uint8Array(32).fill(7);
const image = new TextEncoder().encode("no image, as nothing runs");

const dir = await mkdtemp(join(tmpdir(), "gevulot-bench-"));
try {
  await using host = await createFileHost();
  host.files.set("/image", Buffer.from(image).toString());
  // A folder of its own means a database that is durable: fsync is on.
  await using net = await startDevnet({ stateDir: dir, execution: false, logLevel: "warn" });
  const program = (name: string) =>
    createProgramMetadata({
      name,
      imageFileName: "x.img",
      imageFileUrl: `${host.url}/image`,
      imageFileChecksum: bytesToHex(blake3(image)),
      resources: null,
    });
  const [prover, verifier] = [program("prover"), program("verifier")];
  const deploy = signTransaction({
    payload: { kind: "deploy", name: "bench", prover, verifier },
    nonce: 0n,
    secretKey,
  });
  const url = new URL(net.nodes[0].rpcUrl);
  const body = (method: string, parameter: string) =>
    `{"jsonrpc":"2.0","id":1,"method":"${method}","params":[${parameter}]}`;
  await loadOverHttp(url, [body("sendTransaction", transactionToJson(deploy))], 1);

  console.log(`signing ${SENDS} Runs`);
  const runs: Transaction[] = Array.from({ length: SENDS }, (_, index) =>
    signTransaction({
      payload: {
        kind: "run",
        steps: [
          { program: prover.hash, args: ["--n", String(index), "x".repeat(200)], inputs: [] },
          {
            program: verifier.hash,
            args: [],
            inputs: [{ kind: "output", sourceProgram: prover.hash, fileName: "/workspace/proof.bin" }],
          },
        ],
      },
      nonce: BigInt(index),
      secretKey,
    }),
  );
  const sends = runs.map((tx) => body("sendTransaction", transactionToJson(tx)));
  const bytes = Math.round(sends.reduce((sum, text) => sum + text.length, 0) / sends.length);
  console.log(`${availableParallelism()} processors, ${CONNECTIONS} connections, bodies of ${bytes} bytes`);
  report("sendTransaction", await loadOverHttp(url, sends, CONNECTIONS), WANTED_SENDS);

  const reads = Array.from({ length: READS }, () => {
    const { hash } = runs[Math.floor(Math.random() * runs.length)] as Transaction;
    return body("getTransaction", `[${[...Buffer.from(hash, "hex")].join(",")}]`);
  });
  report("getTransaction", await loadOverHttp(url, reads, CONNECTIONS), WANTED_READS);
} finally {
  await rm(dir, { recursive: true, force: true });
}

function report(what: string, result: LoadResult, wanted: number): void {
  const { perSecond, p50Ms, p99Ms, errors } = result;
  const verdict = errors === 0 && perSecond >= wanted ? "reached" : "NOT reached";
  console.log(
    `${what}: ${perSecond.toFixed(0)}/s, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ` +
      `${errors} errors; wanted ${wanted}/s: ${verdict}`,
  );
  if (verdict !== "reached") process.exitCode = 1;
}
