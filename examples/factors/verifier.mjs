import { readFile } from "node:fs/promises";
import { run } from "gevulot-shim";

/** Multiplies the factors that the prover left. A verifier that rejects must throw. */
await run(async (task) => {
  const n = BigInt(task.args[0] ?? "0");
  const [a, b] = JSON.parse(await readFile(task.file("/workspace/factors.json"), "utf8")).map(BigInt);
  if (a < 2n || b < 2n || a * b !== n) throw new Error(`refused: ${a} and ${b} are no factors of ${n}`);
  return task.result(`valid: ${n} = ${a} × ${b}`);
});
