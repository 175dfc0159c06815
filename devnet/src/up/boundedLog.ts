import { closeSync, existsSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

export interface BoundedLog {
  write(text: string): void;
  close(): void;
}

/**
 * A log file that never takes more than twice `limitBytes`: a full one is moved aside to `<path>.1`. What an
 * earlier run wrote is kept; what can't be written is lost. Written synchronously, as the lines that matter come right before an end.
 */
export function createBoundedLog(path: string, limitBytes: number): BoundedLog {
  const begin = () => openSync(path, "a", 0o600);
  let fd: number | undefined = begin();
  let { size } = fstatSync(fd);
  const write = (text: string): void => {
    if (fd === undefined) return;
    if (size > limitBytes) {
      if (existsSync(path)) renameSync(path, `${path}.1`);
      const full = fd;
      fd = begin();
      closeSync(full);
      size = 0;
    }
    size += writeSync(fd, text);
  };
  return {
    write(text) {
      try {
        write(text);
      } catch {
        // A disk that is full for a while costs lines, and not who writes them.
      }
    },
    close() {
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}
