import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

const run = promisify(execFile);
const PS_TIMEOUT_MS = 5_000;

/** Also true for a process that we may not signal. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Command line, its parts joined by spaces; "" for a process that is gone or a zombie. */
export async function commandOf(pid: number): Promise<string> {
  if (process.platform !== "linux") return ps(pid, "command=");
  const text = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  return text.split("\0").join(" ").trim();
}

/** When the process started, in the system's own unit: only good for comparing. */
export async function startTimeOf(pid: number): Promise<string> {
  if (process.platform !== "linux") return ps(pid, "lstart=");
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  // Fields are counted from behind the name, which may hold spaces and brackets: the 22nd of all is the 20th then.
  return text.slice(text.lastIndexOf(")") + 2).split(" ")[19] ?? "";
}

async function ps(pid: number, column: string): Promise<string> {
  const { stdout } = await run("ps", ["-ww", "-o", column, "-p", String(pid)], {
    timeout: PS_TIMEOUT_MS,
  }).catch(() => ({ stdout: "" }));
  return stdout.trim();
}
