import type { Transport } from "../transport/httpTransport.ts";
import type { FileHostOptions, Platform } from "./platform.ts";
import type { OnProgress } from "./progress.ts";
import type { Signer } from "./signer.ts";

/** What every action is given. */
export interface ClientContext {
  readonly transport: Transport;
  readonly platform: Platform;
  readonly fetch: typeof globalThis.fetch;
  /** Throws `NO_KEY` where there is none. */
  readonly getSigner: () => Promise<Signer>;
  readonly files: FileDelivery;
  /** For `sendTransaction`: the node answers when it has every file. */
  readonly sendTimeoutMs: number;
}

/** How local files get to the node. */
export interface FileDelivery {
  readonly mode: FileMode;
  readonly fileHost: FileHostOptions;
  /** Where uploads go, where the node's own word for it does not reach it from here. */
  readonly uploadUrl: string | undefined;
  readonly accessToken: string | undefined;
}

/** By the client serving them, by an upload, or as it fits: see the client's option `files`. */
export type FileMode = "auto" | "serve" | "upload";

/** Options of every action that waits for one answer. */
export interface ActionOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Options of the actions that send local files. */
export interface FileActionOptions extends ActionOptions {
  /** How far the files have come: hashing, then serving or uploading. */
  readonly onProgress?: OnProgress | undefined;
}
