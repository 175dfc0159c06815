// `npm run bench -- <name> [arguments]`: measures something against a reference, on what `npm run build` makes.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const [name = "rpc", ...args] = process.argv.slice(2);
const program = `test/bench/${name}.ts`;

if (!/^[a-z0-9-]+$/.test(name) || !existsSync(`${root}${program}`)) {
  console.error(
    `There is no benchmark ${name}: ${program} is not there. Try rpc, vm, p2p, pipeline, devnet, or revert.`,
  );
  process.exit(2);
}
for (const command of [
  ["tsc", "-b"],
  ["tsx", "scripts/bundle.mjs"],
  ["tsx", program, ...args],
]) {
  const { status } = spawnSync("npx", ["--no-install", ...command], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
