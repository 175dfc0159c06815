import { GevulotError } from "../errors.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { OnBytes } from "./progress.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    /** Asked for in a browser: local files and key files are there on Node.js only. */
    NEEDS_NODE: { what: string };
  }
}

/** What differs between Node.js and a browser. */
export interface Platform {
  createBlake3(): Promise<Blake3>;
  /** Null in a browser. */
  readonly local: LocalFiles | null;
}

export interface Blake3 {
  update(chunk: Uint8Array): void;
  /** 64 lowercase hex digits. */
  digest(): Hash;
}

export interface LocalFiles {
  readKeyFile(path: string): Promise<Uint8Array>;
  checksumFile(path: string, options: LocalChecksum): Promise<Hash>;
  /** What an image asks for by itself; never rejects. */
  readImageResources(path: string): Promise<ImageResources>;
  /** Listens until it is closed. */
  createFileHost(options: FileHostOptions): Promise<FileHost>;
  downloadFile(options: LocalDownload): Promise<void>;
  /** Sends a file's bytes by HTTP PUT. Rejects where there is no answer. */
  putFile(options: LocalPut): Promise<PutAnswer>;
}

/** Of a machine for the program in an image. */
export interface ImageResources {
  readonly memMib?: number;
  readonly cpus?: number;
  readonly gpus?: number;
}

export interface LocalChecksum {
  readonly onBytes?: OnBytes | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LocalPut {
  readonly path: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly onBytes: OnBytes;
  readonly signal: AbortSignal;
}

export interface PutAnswer {
  readonly status: number;
  readonly text: string;
}

export interface LocalDownload {
  readonly url: string;
  readonly path: string;
  readonly checksum: Hash;
  readonly fetch: typeof globalThis.fetch;
  readonly maxBytes?: number | undefined;
  readonly timeoutMs?: number | undefined;
  readonly idleTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Where the client serves local files while a node fetches them. */
export interface FileHostOptions {
  /** Address to listen at; default 127.0.0.1. */
  readonly host?: string | undefined;
  /** Default 0, a free one. The port is part of a deployed program's identity. */
  readonly port?: number | undefined;
  /** Host name or address in the URLs, where the node does not reach the client at `host`. */
  readonly advertise?: string | undefined;
  /**
   * What a local file's URL has for a path. `content`, the default: its checksum, then its name. `path`: the SHA3-256 of
   * its path as it was given, in hex, as the existing command line has it; so the URL stays when the file changes.
   */
  readonly paths?: "content" | "path" | undefined;
}

/** One file that is served. */
export interface ServedFile {
  readonly name: string;
  readonly checksum: Hash;
  /** Told how far a node has fetched it. */
  readonly onBytes?: OnBytes | undefined;
}

export interface FileHost {
  /** Serves a file, or bytes, and gives the URL. */
  add(content: string | Uint8Array, file: ServedFile): string;
  /** Stops listening and ends what is under way. */
  close(): Promise<void>;
}

/** Gives the local abilities, or throws `NEEDS_NODE`. */
export function needLocal(platform: Platform, what: string): LocalFiles {
  if (platform.local !== null) return platform.local;
  throw new GevulotError(
    "NEEDS_NODE",
    `${what} needs Node.js; in a browser give a URL and a checksum instead.`,
    {
      context: { what },
    },
  );
}
