import { type FSWatcher, watch } from "node:fs";
import { stat } from "node:fs/promises";
import { basename, dirname } from "node:path";

export interface FirstByte extends Disposable {
  /** Milliseconds since the epoch. */
  readonly at: Promise<number>;
}

/** When a console's file, in a folder that is there, gets its first byte: the first thing that its program does. */
export function firstByteOf(path: string, timeoutMs: number): FirstByte {
  let watcher: FSWatcher | undefined;
  let timer: NodeJS.Timeout | undefined;
  const at = new Promise<number>((resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`nothing stood in ${path} in ${timeoutMs / 1_000} s`)),
      timeoutMs,
    );
    watcher = watch(dirname(path), (_event, name) => {
      const now = performance.timeOrigin + performance.now();
      if (name !== basename(path)) return;
      stat(path).then(
        ({ size }) => size > 0 && resolve(now),
        () => {},
      );
    });
  });
  return {
    at,
    [Symbol.dispose]() {
      watcher?.close();
      clearTimeout(timer);
    },
  };
}
