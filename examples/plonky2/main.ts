/**
 * The app against a devnet that runs already (`npx gevulot-devnet up`):
 *
 *     npx tsx examples/plonky2/main.ts [url of the node's JSON-RPC]
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GevulotClient, generateKey } from "gevulot-sdk";
import { buildExample } from "../toolchain.ts";
import { app, buildImages, plonky2 } from "./app.ts";

const url = process.argv[2] ?? "http://127.0.0.1:9944";
const buildDir = await buildExample(plonky2, { onProgress: console.log });
const outputDir = mkdtempSync(join(tmpdir(), "plonky2-"));
const images = await buildImages(buildDir, outputDir);
const client = new GevulotClient({ url, key: generateKey().secretKey });
console.log(await app(client, { images, buildDir, outputDir }));
