/** The signals that ask a program to stop: Ctrl-C, `kill`, and a terminal that closes. */
export const STOP_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Resolves with the first signal that asks this process to stop. A second one ends it at once. */
export function untilSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    for (const name of STOP_SIGNALS) {
      process.on(name, () => {
        if (asked) process.exit(130);
        asked = true;
        resolve(name);
      });
    }
  });
}
