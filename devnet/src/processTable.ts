import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const PS_TIMEOUT_MS = 5_000;

/**
 * When a process started, in the system's own unit: only good for comparing. A process id alone comes again; with
 * this it names one process. "" where the system does not say, null where no such process runs: a zombie doesn't.
 */
export function startOf(pid: number): string | null {
  if (process.platform === "linux") {
    try {
      return startInStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
    } catch {
      return null;
    }
  }
  try {
    process.kill(pid, 0);
    return "";
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? "" : null;
  }
}

/** Also true for a process that we may not signal. */
export function isAlive(pid: number): boolean {
  return startOf(pid) !== null;
}

/** The 22nd field; they are counted from behind the name, which may hold spaces and brackets. */
function startInStat(stat: string): string | null {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" ? null : (fields[19] ?? null);
}

/** Command line, its parts joined by spaces; "" for a process that is gone or a zombie. */
export async function commandOf(pid: number): Promise<string> {
  if (process.platform !== "linux") return ps(pid, "command=");
  const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return text.split("\0").join(" ").trim();
}

async function ps(pid: number, column: string): Promise<string> {
  const { stdout } = await promisify(execFile)("ps", ["-ww", "-o", column, "-p", String(pid)], {
    timeout: PS_TIMEOUT_MS,
  }).catch(() => ({ stdout: "" }));
  return stdout.trim();
}
