/**
 * The program on a devnet that runs already (`npx gevulot-devnet up`), and that finds the volume `tmp`:
 *
 *     npx tsx examples/filecoin/main.ts [url of the node's JSON-RPC]
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GevulotClient, generateKey } from "gevulot-sdk";
import { buildExample } from "../toolchain.ts";
import { app, buildProverImage, filecoin, volumeContent } from "./app.ts";

const url = process.argv[2] ?? "http://127.0.0.1:9944";
const buildDir = await buildExample(filecoin, { onProgress: console.log });
console.log(
  `the volume, if it is not there yet: gevulot-devnet volume create tmp --writable -d ${volumeContent(buildDir)}`,
);
const image = await buildProverImage(buildDir, mkdtempSync(join(tmpdir(), "filecoin-")));
const client = new GevulotClient({ url, key: generateKey().secretKey });
// Without KVM, on a busy machine, it takes ten minutes and more.
const { report } = await app(client, { image, timeoutMs: 60 * 60_000 });
console.log(report);
