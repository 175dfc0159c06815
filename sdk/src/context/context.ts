import type { Transport } from "../transport/httpTransport.ts";
import type { FileHostOptions, Platform } from "./platform.ts";
import type { Signer } from "./signer.ts";

/** What every action is given. */
export interface ClientContext {
  readonly transport: Transport;
  readonly platform: Platform;
  readonly fetch: typeof globalThis.fetch;
  /** Throws `NO_KEY` where there is none. */
  readonly getSigner: () => Promise<Signer>;
  readonly fileHost: FileHostOptions;
  /** For `sendTransaction`: the node answers when it has every file. */
  readonly sendTimeoutMs: number;
}

/** Options of every action that waits for one answer. */
export interface ActionOptions {
  readonly signal?: AbortSignal | undefined;
}
