import { writeFile } from "node:fs/promises";
import { run } from "gevulot-shim";

/** Finds two factors of a number: they prove that it is no prime. */
await run(async (task) => {
  const n = BigInt(task.args[0] ?? "0");
  for (let factor = 2n; factor * factor <= n; factor++) {
    if (n % factor !== 0n) continue;
    const proof = JSON.stringify([String(factor), String(n / factor)]);
    await writeFile(task.path("factors.json"), proof);
    return task.result(proof, ["/workspace/factors.json"]);
  }
  throw new Error(`${n} has no factors: there is nothing to prove`);
});
