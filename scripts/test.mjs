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
  () => testPhase(context),
  () => leftoverPhase(context),
];

let passed = 0;
const failures = [];
const skips = [];
try {
  for (const phase of phases) {
    const totals = await phase();
    passed += totals.passed;
    failures.push(...totals.failures);
    skips.push(...totals.skips);
  }
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

if (skips.length > 0) console.log("\nSkipped:");
for (const { name, reason } of skips) console.log(`  ${name}: ${reason}`);
if (failures.length > 0) console.log("\nFailed:");
for (const failure of failures) console.log(`  ${failure}`);
console.log(`\n${passed} passed, ${failures.length} failed, ${skips.length} skipped`);
process.exitCode = failures.length > 0 ? 1 : 0;
