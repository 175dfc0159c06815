/**
 * Builds the programs and writes the configurations of a stage and two prover nodes:
 *
 *     npx tsx examples/pipeline-plonky2/main.ts postgres://me:password@localhost/pipeline [folder]
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildExample } from "../toolchain.ts";
import { commandsOf, nodeToml, pipelinePlonky2, stageToml } from "./app.ts";

const [databaseUrl, folder = "."] = process.argv.slice(2);
if (databaseUrl === undefined) {
  console.error(
    "Give the URL of an empty PostgreSQL database, e.g. postgres://me:password@localhost/pipeline",
  );
  process.exit(2);
}
const buildDir = await buildExample(pipelinePlonky2, { onProgress: console.log });
const dir = resolve(folder);
mkdirSync(dir, { recursive: true });
const stageAddr = "127.0.0.1:50000";
writeFileSync(
  join(dir, "stage.toml"),
  stageToml({ buildDir, baseDir: join(dir, "stage"), databaseUrl, addr: stageAddr }),
);
for (const [index, name] of ["a", "b"].entries()) {
  const addr = `127.0.0.1:${50_001 + index}`;
  const node = { name, baseDir: join(dir, name), addr, stageAddr, commands: commandsOf(buildDir) };
  writeFileSync(join(dir, `${name}.toml`), nodeToml(node));
}
console.log(`
npx gevulot-devnet pipeline stage -c ${dir}/stage.toml     # in one terminal
npx gevulot-devnet pipeline prover -c ${dir}/a.toml        # in a second
npx gevulot-devnet pipeline prover -c ${dir}/b.toml        # in a third
npx gevulot-devnet pipeline user add ADDRESS -c ${dir}/stage.toml
${buildDir}/chain-verifier proof ${buildDir}/chain.keys FILE START LENGTH`);
