import { once } from "node:events";

/** Takes out of images what their start needs before a task asks for it, one after the other: many have one kernel. */
export interface EarlyBoot {
  begin(imagePath: string): Promise<void>;
  /**
   * What is being done for this image has ended, well or not, or the signal came: the start itself says what is wrong with
   * an image. What has not begun, as others' images come first, is not waited for.
   */
  settled(imagePath: string, signal: AbortSignal): Promise<void>;
}

export function createEarlyBoot(prepare: (imagePath: string) => Promise<unknown>): EarlyBoot {
  const begun = new Map<string, Promise<void>>();
  let last = Promise.resolve();
  return {
    begin(imagePath) {
      last = last.then(async () => {
        const work = prepare(imagePath).then(
          () => {},
          () => {},
        );
        begun.set(imagePath, work);
        await work;
        begun.delete(imagePath);
      });
      return last;
    },
    async settled(imagePath, signal) {
      const work = begun.get(imagePath);
      if (work === undefined || signal.aborted) return;
      const stop = new AbortController();
      const stopped = once(signal, "abort", { signal: stop.signal }).catch(() => {});
      await Promise.race([work, stopped]);
      stop.abort();
    },
  };
}
