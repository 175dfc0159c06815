#!/usr/bin/env node
import { chmodSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setupOrExit } from "./setup.mjs";
import { checkPhase, leftoverPhase, testPhase } from "./test/phases.mjs";

const filter = process.argv.slice(2);
const isCi = process.env.CI === "true" || process.env.CI === "1";

// Before any output: tools look at these when they start.
if (isCi) {
  process.env.NO_COLOR = "1";
  delete process.env.FORCE_COLOR;
}
await setupOrExit();

// One folder for all that tests write. Its name is short, as a socket's path has 107 bytes; other users may pass
// through, as PostgreSQL doesn't run as root.
const scratch = mkdtempSync(join(tmpdir(), "gvt-"));
chmodSync(scratch, 0o755);
const context = { env: { ...process.env, TMPDIR: scratch }, filter, scratch };

const phases = [
  () => checkPhase("types and build", ["node_modules/typescript/bin/tsc", "-b"], context),
  () =>
    checkPhase(
      "lint and format",
      ["node_modules/@biomejs/biome/bin/biome", "ci", ...(isCi ? ["--colors=off"] : []), "."],
      context,
    ),
  () => checkPhase("bundle", ["scripts/bundle.mjs"], context),
  () => testPhase(context),
];

// Ctrl-C reaches the running phase too, and ends it. What it leaves is looked for all the same.
let isInterrupted = false;
process.on("SIGINT", () => {
  isInterrupted = true;
});

const all = [];
try {
  for (const phase of phases) if (!isInterrupted) all.push(await phase());
  all.push(await leftoverPhase(context));
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const passed = all.reduce((sum, totals) => sum + totals.passed, 0);
const failures = all.flatMap((totals) => totals.failures);
const skips = all.flatMap((totals) => totals.skips);
if (isInterrupted) failures.push("interrupted");
if (skips.length > 0) console.log("\nSkipped:");
for (const { name, reason } of skips) console.log(`  ${name}: ${reason}`);
if (failures.length > 0) console.log("\nFailed:");
for (const failure of failures) console.log(`  ${failure}`);
console.log(`\n${passed} passed, ${failures.length} failed, ${skips.length} skipped`);
process.exitCode = failures.length > 0 ? 1 : 0;
