/**
 * The app against a devnet that runs already (`npx gevulot-devnet up`):
 *
 *     npx tsx examples/groth16/main.ts [url of the node's JSON-RPC]
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GevulotClient, generateKey } from "gevulot-sdk";
import { app } from "./app.ts";
import { buildImages } from "./images.ts";
import { setupCircuit } from "./setup.ts";

const url = process.argv[2] ?? "http://127.0.0.1:9944";
const { dir } = await setupCircuit({ onProgress: (step) => console.log(`set-up: ${step}`) });
const outputDir = mkdtempSync(join(tmpdir(), "groth16-"));
const images = await buildImages({ circuitDir: dir, outputDir, onProgress: console.log });

let state = "";
const client = new GevulotClient({ url, key: generateKey().secretKey });
const result = await app(client, {
  images,
  circuitDir: dir,
  outputDir,
  onSent: (run) => console.log(`run ${run.hash}`),
  onStatus(status) {
    if (status.state !== state) console.log(status.state);
    state = status.state;
  },
});
console.log(result);
console.log(`the proof is in ${outputDir}`);
