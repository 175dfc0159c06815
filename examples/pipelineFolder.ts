import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Commands, nodeToml, stageToml } from "./pipelineToml.ts";

/** Writes the configurations of a stage and two prover nodes, and says how to start them. */
export function writePipelineFolder(
  folder: string,
  databaseUrl: string,
  programs: { readonly commands: Commands; readonly verify: readonly string[] },
): void {
  const dir = resolve(folder);
  mkdirSync(dir, { recursive: true });
  const stageAddr = "127.0.0.1:50000";
  // Where `pipeline submit` and the like look for it.
  const addrs = { addr: stageAddr, apiAddr: "127.0.0.1:50020" };
  const stage = { ...addrs, baseDir: join(dir, "stage"), databaseUrl, verify: programs.verify };
  writeFileSync(join(dir, "stage.toml"), stageToml(stage));
  for (const [index, name] of ["a", "b"].entries()) {
    const addr = `127.0.0.1:${50_001 + index}`;
    const node = { name, baseDir: join(dir, name), addr, stageAddr, commands: programs.commands };
    writeFileSync(join(dir, `${name}.toml`), nodeToml(node));
  }
  // The programs are the nodes' own: whatever file is given for an ELF.
  const input = join(dir, "input.json");
  writeFileSync(input, JSON.stringify({ start: 42, length: 500, segments: 4 }));
  console.log(`
npx gevulot-devnet pipeline stage -c ${dir}/stage.toml     # in one terminal
npx gevulot-devnet pipeline prover -c ${dir}/a.toml        # in a second
npx gevulot-devnet pipeline prover -c ${dir}/b.toml        # in a third
npx gevulot-devnet pipeline user add ADDRESS -c ${dir}/stage.toml
npx gevulot-devnet pipeline submit ${input} -i ${input} --wait -o proof.json`);
}

/** The database's URL and the folder, from the command line. */
export function pipelineArguments(): { readonly databaseUrl: string; readonly folder: string } {
  const [databaseUrl, folder = "."] = process.argv.slice(2);
  if (databaseUrl !== undefined) return { databaseUrl, folder };
  console.error(
    "Give the URL of an empty PostgreSQL database, e.g. postgres://me:password@localhost/pipeline",
  );
  process.exit(2);
}
