import type { ChildProcess } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { createStack } from "../disposeStack.ts";
import { STDERR_FILE, STDERR_TAIL_BYTES, STDOUT_FILE } from "../image/execProgram.ts";

export interface ExecOutput extends AsyncDisposable {
  of(child: ChildProcess): void;
}

/**
 * Keeps what a host process says, as an image's init does it: so much of its standard output, more than which ends it, and
 * the end of its standard error. The files are opened before the program can put anything in their place, and written when
 * this is disposed of.
 */
export async function keepExecOutput(
  workspaceDir: string,
  keepStdoutBytes: number | null,
): Promise<ExecOutput> {
  await using stack = createStack();
  const keep = async (name: string, content: () => Buffer): Promise<void> => {
    const file = await open(join(workspaceDir, name), "w");
    stack.defer(() => file.close());
    stack.defer(() => file.writeFile(content()));
  };
  const stdout: Buffer[] = [];
  let stdoutBytes = 0;
  let stderr: Buffer = Buffer.alloc(0);
  await keep(STDERR_FILE, () => stderr);
  if (keepStdoutBytes !== null) await keep(STDOUT_FILE, () => Buffer.concat(stdout));
  const kept = stack.move();
  return {
    of(child) {
      child.stderr?.on("data", (chunk: Buffer) => {
        stderr = Buffer.concat([stderr, chunk]).subarray(-STDERR_TAIL_BYTES);
      });
      if (keepStdoutBytes === null) return;
      child.stdout?.on("data", (chunk: Buffer) => {
        const room = keepStdoutBytes + 1 - stdoutBytes;
        if (room <= 0) return;
        stdout.push(chunk.subarray(0, room));
        stdoutBytes += Math.min(room, chunk.length);
        if (stdoutBytes > keepStdoutBytes) child.kill("SIGKILL");
      });
    },
    [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose](),
  };
}
