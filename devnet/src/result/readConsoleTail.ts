import { open } from "node:fs/promises";

/** How much of a task's console its status shows. */
const CONSOLE_TAIL_BYTES = 4_096;

/** The end of a console file as text that JSON and Postgres can hold; empty where there is no file. */
export async function readConsoleTail(path: string): Promise<string> {
  const handle = await open(path, "r").catch(() => null);
  if (handle === null) return "";
  try {
    const { size } = await handle.stat();
    const length = Math.min(size, CONSOLE_TAIL_BYTES);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(length), 0, length, size - length);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a console holds them; a text column must not.
    return buffer.subarray(0, bytesRead).toString("utf8").replace(/\x00/g, "").replace(/\r\n/g, "\n");
  } finally {
    await handle.close();
  }
}
