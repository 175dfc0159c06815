import type { ChildProcess } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { STDERR_FILE, STDERR_TAIL_BYTES, STDOUT_FILE } from "../image/execProgram.ts";

/**
 * Keeps what a host process says, as an image's init does it: so much of its standard output, more than which ends it, and
 * the end of its standard error. Written to the workspace when disposed of.
 */
export function keepExecOutput(
  child: ChildProcess,
  workspaceDir: string,
  keepStdoutBytes: number | null,
): AsyncDisposable {
  const stdout: Buffer[] = [];
  let stdoutBytes = 0;
  let stderr: Buffer = Buffer.alloc(0);
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr = Buffer.concat([stderr, chunk]).subarray(-STDERR_TAIL_BYTES);
  });
  if (keepStdoutBytes !== null) {
    child.stdout?.on("data", (chunk: Buffer) => {
      const room = keepStdoutBytes + 1 - stdoutBytes;
      if (room <= 0) return;
      stdout.push(chunk.subarray(0, room));
      stdoutBytes += Math.min(room, chunk.length);
      if (stdoutBytes > keepStdoutBytes) child.kill("SIGKILL");
    });
  }
  return {
    [Symbol.asyncDispose]: async () => {
      await writeFile(join(workspaceDir, STDERR_FILE), stderr);
      if (keepStdoutBytes !== null) await writeFile(join(workspaceDir, STDOUT_FILE), Buffer.concat(stdout));
    },
  };
}
