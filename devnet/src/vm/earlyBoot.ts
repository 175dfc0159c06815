/** Takes out of images what their start needs before a task asks for it, one after the other: many have one kernel. */
export interface EarlyBoot {
  begin(imagePath: string): Promise<void>;
  /** What was begun for this image has ended, well or not: the start itself says what is wrong with an image. */
  settled(imagePath: string): Promise<void>;
}

export function createEarlyBoot(prepare: (imagePath: string) => Promise<unknown>): EarlyBoot {
  const begun = new Map<string, Promise<void>>();
  let last = Promise.resolve();
  return {
    begin(imagePath) {
      const work = last
        .then(() => prepare(imagePath))
        .then(
          () => {},
          () => {},
        )
        .finally(() => begun.delete(imagePath));
      last = work;
      begun.set(imagePath, work);
      return work;
    },
    settled: (imagePath) => begun.get(imagePath) ?? Promise.resolve(),
  };
}
