import { GevulotError } from "gevulot-sdk";
import { STOP_SIGNALS } from "./untilSignal.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STOPPED: { readonly signal: string };
  }
}

/**
 * Work that takes its time and leaves nothing half-made: the first signal that asks this process to stop aborts it.
 *
 * @throws GevulotError `STOPPED`
 */
export async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const listeners = STOP_SIGNALS.map((signal) => {
    const message = `It was stopped by ${signal}, and nothing is left of it. Start it again.`;
    const listener = () => stop.abort(new GevulotError("STOPPED", message, { context: { signal } }));
    process.once(signal, listener);
    return { signal, listener };
  });
  try {
    return await work(stop.signal);
  } finally {
    for (const { signal, listener } of listeners) process.off(signal, listener);
  }
}
