import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { leftovers } from "./leftovers.mjs";

const SUMMARY = "summary.json";
const root = fileURLToPath(new URL("../..", import.meta.url));

/**
 * @typedef {{ passed: number, failures: string[], skips: { name: string, reason: string }[] }} Totals
 * @typedef {{ env: NodeJS.ProcessEnv, filter: readonly string[], scratch: string }} Context
 */

/**
 * Runs a command in sight of the reader.
 *
 * @param {readonly string[]} command
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>} exit code
 */
function show(command, env) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, command, { cwd: root, env, stdio: "inherit" });
    child.once("error", (error) => {
      console.error(error.message);
      resolve(127);
    });
    child.once("close", (code) => resolve(code ?? 1));
  });
}

/**
 * A command that passes or fails as a whole, counted as one.
 *
 * @param {string} name
 * @param {readonly string[]} command
 * @param {Context} context
 * @returns {Promise<Totals>}
 */
export async function checkPhase(name, command, { env }) {
  console.log(`\n== ${name}`);
  const code = await show(command, env);
  return code === 0
    ? { passed: 1, failures: [], skips: [] }
    : { passed: 0, failures: [`${name} (exit code ${code})`], skips: [] };
}

/** Unit and end-to-end tests. @param {Context} context @returns {Promise<Totals>} */
export async function testPhase({ env, filter, scratch }) {
  console.log("\n== tests");
  const summaryFile = join(scratch, SUMMARY);
  const command = ["node_modules/vitest/vitest.mjs", "run", "--project=unit", "--project=e2e"];
  command.push("--reporter=default");
  command.push(`--reporter=${join(root, "scripts/test/reporter.mjs")}`, ...filter);
  const code = await show(command, { ...env, GEVULOT_TEST_SUMMARY: summaryFile });
  /** @type {Totals & { endedEarly: boolean }} */
  let totals;
  try {
    totals = JSON.parse(readFileSync(summaryFile, "utf8"));
  } catch {
    return { passed: 0, failures: [`tests (vitest ended with exit code ${code} and no summary)`], skips: [] };
  }
  const { failures } = totals;
  if (totals.endedEarly) failures.push("tests (interrupted)");
  if (totals.passed + failures.length === 0) failures.push("tests (none ran)");
  if (code !== 0 && failures.length === 0) failures.push(`tests (vitest ended with exit code ${code})`);
  return totals;
}

/** What tests started has ended, and what they wrote is gone. @param {Context} context @returns {Promise<Totals>} */
export async function leftoverPhase({ scratch }) {
  console.log("\n== left over");
  const processes = await leftovers(scratch);
  for (const { pid, command } of processes) {
    console.log(`process ${pid}: ${command}`);
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It ended by itself after all.
    }
  }
  const files = readdirSync(scratch).filter((name) => name !== SUMMARY);
  for (const name of files) console.log(`file ${name}`);
  return total([
    ["processes left over", processes.length],
    ["temporary files left over", files.length],
  ]);
}

/** @param {readonly [name: string, count: number][]} checks each passes if nothing was found @returns {Totals} */
function total(checks) {
  const failures = checks.filter(([, count]) => count > 0).map(([name, count]) => `${name} (${count})`);
  return { passed: checks.length - failures.length, failures, skips: [] };
}
