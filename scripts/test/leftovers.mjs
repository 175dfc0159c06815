import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

/** Processes that were told to end may take a moment. */
const GRACE_MS = 5_000;
const POLL_MS = 100;
const SHOWN_CHARACTERS = 200;

/**
 * Processes that tests started and that still run. They are told by the tests' own temporary folder, in their
 * environment (`TMPDIR`) or in their command line (a virtual machine or a database gets a clean environment).
 *
 * @param {string} folder
 * @param {number} graceMs
 * @returns {Promise<{ pid: number, command: string }[]>}
 */
export async function leftovers(folder, graceMs = GRACE_MS) {
  const deadline = Date.now() + graceMs;
  for (;;) {
    const found = (process.platform === "linux" ? fromProc : fromPs)(folder);
    if (found.length === 0 || Date.now() > deadline) return found;
    await delay(POLL_MS);
  }
}

/** @param {string} folder */
function fromProc(folder) {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const command = readProc(name, "cmdline");
      const isOurs = command.includes(folder) || readProc(name, "environ").includes(`TMPDIR=${folder}`);
      // A zombie has no command line.
      return isOurs && command !== ""
        ? [{ pid: Number(name), command: command.slice(0, SHOWN_CHARACTERS) }]
        : [];
    });
}

/** @param {string} pid @param {string} file */
function readProc(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8").replaceAll("\0", " ").trim();
  } catch {
    return "";
  }
}

/** @param {string} folder */
function fromPs(folder) {
  const lines = execFileSync("ps", ["-axww", "-o", "pid=,command="], { encoding: "utf8" }).split("\n");
  return lines
    .filter((line) => line.includes(folder))
    .map((line) => {
      const [, pid, command] = /^\s*(\d+)\s+(.*)$/.exec(line) ?? ["", "0", line];
      return { pid: Number(pid), command: command.slice(0, SHOWN_CHARACTERS) };
    })
    .filter(({ pid }) => pid > 1 && pid !== process.pid);
}
