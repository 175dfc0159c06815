const SAY_EVERY_MS = 2_000;

export interface SayWaitOptions {
  /** What is waited for, to follow "waiting for". */
  readonly what: string;
  /** The last that it said itself; "" for nothing. */
  readonly lastLine: () => string;
  readonly onProgress?: ((message: string) => void) | undefined;
}

/** Says every two seconds, as long as some work goes on, what is waited for, how long already, and what that said last. */
export async function sayWait<T>(work: Promise<T>, options: SayWaitOptions): Promise<T> {
  const begun = Date.now();
  const timer = setInterval(() => {
    const said = options.lastLine().trim();
    const seconds = Math.round((Date.now() - begun) / 1_000);
    options.onProgress?.(
      `waiting for ${options.what}, ${seconds} s${said === "" ? "" : `; it said last: ${said}`}`,
    );
  }, SAY_EVERY_MS);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
