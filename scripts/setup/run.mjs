import { spawn } from "node:child_process";

const KEPT_BYTES = 16_000;

/**
 * Runs a command and keeps the end of what it says, for the case that it fails.
 *
 * @param {readonly string[]} command
 * @param {{ cwd?: string, env?: Record<string, string | undefined>, timeoutMs?: number }} [options]
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run([file, ...args], { cwd, env, timeoutMs = 1_200_000 } = {}) {
  return new Promise((resolve) => {
    let output = "";
    const child = spawn(file, args, { cwd, env: { ...process.env, ...env }, timeout: timeoutMs });
    const keep = (/** @type {Buffer} */ data) => {
      output = (output + data).slice(-KEPT_BYTES);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", (error) => resolve({ code: 127, output: error.message }));
    child.once("close", (code, signal) =>
      resolve({ code: code ?? 1, output: signal === null ? output : `${output}\nended by ${signal}` }),
    );
  });
}
