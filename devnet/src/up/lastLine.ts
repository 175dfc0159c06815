import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const TAIL_BYTES = 4_096;

/** The last line of a log file that says something; "" where there is none. */
export function lastLineOf(path: string): string {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return "";
  }
  try {
    const { size } = fstatSync(fd);
    const buffer = Buffer.alloc(Math.min(size, TAIL_BYTES));
    readSync(fd, buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString("utf8").trimEnd().split("\n").at(-1) ?? "";
  } finally {
    closeSync(fd);
  }
}
