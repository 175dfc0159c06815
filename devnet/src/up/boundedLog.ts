import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

export interface BoundedLog {
  write(text: string): void;
  close(): void;
}

/**
 * A log file that never takes more than twice `limitBytes`: a full one is moved aside to `<path>.1`. What an
 * earlier run wrote is kept. Written synchronously, as the lines that matter come right before an end.
 */
export function createBoundedLog(path: string, limitBytes: number): BoundedLog {
  let fd: number | undefined = openSync(path, "a", 0o600);
  let { size } = fstatSync(fd);
  return {
    write(text) {
      if (fd === undefined) return;
      if (size > limitBytes) {
        closeSync(fd);
        renameSync(path, `${path}.1`);
        fd = openSync(path, "a", 0o600);
        size = 0;
      }
      size += writeSync(fd, text);
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
