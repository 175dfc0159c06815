import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    /** Fewer peers than wanted were connected in time. */
    PEERS_MISSING: { wanted: number; connected: number };
  }
}

export interface ConnectionCount {
  /** Called whenever a peer comes or goes. */
  readonly listeners: Set<() => void>;
  readonly connected: () => number;
}

export function untilConnected(
  { listeners, connected }: ConnectionCount,
  wanted: number,
  options: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<void> {
  const { timeoutMs, signal } = options;
  return new Promise((resolve, reject) => {
    const end = (error?: unknown): void => {
      clearTimeout(timer);
      listeners.delete(look);
      signal?.removeEventListener("abort", abort);
      if (error === undefined) resolve();
      else reject(error);
    };
    const look = () => {
      if (connected() >= wanted) end();
    };
    const abort = () => end(signal?.reason);
    const timer = setTimeout(() => end(tooFew(wanted, connected(), timeoutMs)), timeoutMs);
    listeners.add(look);
    signal?.addEventListener("abort", abort, { once: true });
    if (signal?.aborted) abort();
    else look();
  });
}

function tooFew(wanted: number, connected: number, timeoutMs: number): GevulotError {
  return new GevulotError(
    "PEERS_MISSING",
    `Only ${connected} of ${wanted} peers were connected within ${timeoutMs / 1_000} s. Check that the others run, that a discovery address names one of them, and that all have the same passphrase.`,
    { context: { wanted, connected } },
  );
}
