/** Ends a transfer whose other side sends nothing. */
export interface IdleWatch {
  /** Aborted by the one that was given, or by idleness. */
  readonly signal: AbortSignal;
  /** Something came: count anew. */
  touch(): void;
  /** Stops counting; to be called in the end. */
  stop(): void;
}

/** The reason of an idle watch's signal. */
class IdleError extends Error {
  constructor(idleTimeoutMs: number) {
    super(`nothing came for ${idleTimeoutMs} ms`);
    this.name = "IdleError";
  }
}

export const DEFAULT_IDLE_TIMEOUT_MS = 30_000;

/** Starts counting now. */
export function createIdleWatch(idleTimeoutMs: number, signal: AbortSignal): IdleWatch {
  const controller = new AbortController();
  const start = () => setTimeout(() => controller.abort(new IdleError(idleTimeoutMs)), idleTimeoutMs);
  let timer = start();
  return {
    signal: AbortSignal.any([signal, controller.signal]),
    touch() {
      clearTimeout(timer);
      timer = start();
    },
    stop: () => clearTimeout(timer),
  };
}
