import { createHash } from "node:crypto";
import { mkdir, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GevulotError, isGevulotError } from "gevulot-sdk";
import { downloadFile } from "gevulot-sdk/node";
import { createUsefulServers, type PeerServers } from "./peerServers.ts";
import { createTurns } from "./turns.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    FILE_UNAVAILABLE: { what: string; url: string };
  }
}

export interface FileRequest {
  /** For messages: "the image of program "prover"". */
  readonly what: string;
  readonly url: string;
  /** BLAKE3, 64 hex digits. */
  readonly checksum: string;
  /** Where the file is wanted. One that is there already is taken as it is: it was checked when it came. */
  readonly path: string;
  readonly atPeers?: PeerFile;
}

/** Where other nodes serve the same file (protocol section 6). */
export interface PeerFile {
  /** With a leading slash. */
  readonly path: string;
  /** It stands for this content and no other: it holds the checksum, or a hash of it. */
  readonly isBinding: boolean;
}

export interface FileFetcher {
  fetch(request: FileRequest, options?: { readonly signal?: AbortSignal }): Promise<void>;
  isArriving(path: string): boolean;
}

export interface FileFetcherOptions {
  readonly maxBytes: number;
  /** For a whole file. */
  readonly timeoutMs: number;
  /** Asked where the URL doesn't give the file. */
  readonly peers?: PeerServers;
}

export const DEFAULT_FETCH: FileFetcherOptions = { maxBytes: 64 * 2 ** 30, timeoutMs: 30 * 60_000 };
const MAX_AT_ONCE = 8;
/** A host whose downloads hang must not hold up those of others. */
const MAX_AT_ONCE_FROM_HOST = 3;

/** Downloads files by URL, checked while streaming; one download per file however many ask, a few at a time. */
export function createFileFetcher(
  incomingDir: string,
  options: FileFetcherOptions = DEFAULT_FETCH,
): FileFetcher {
  const arriving = new Map<string, { readonly checksum: string; readonly done: Promise<void> }>();
  const peers = createUsefulServers(options.peers ?? { list: () => [], onLie: () => {} });
  const turns = createTurns({ maxAtOnce: MAX_AT_ONCE, maxAtOnceOfKey: MAX_AT_ONCE_FROM_HOST });

  const download = async (request: FileRequest, signal: AbortSignal | undefined): Promise<void> => {
    if (await exists(request.path)) return;
    await mkdir(dirname(request.path), { recursive: true });
    const problems: unknown[] = [];
    for (const { url, peer } of sourcesOf(request, peers.list())) {
      signal?.throwIfAborted();
      const problem = await turns
        .take(hostOf(url), signal, () => receive({ ...request, url }, signal))
        .catch((error: unknown) => error ?? new Error("unknown"));
      if (problem === undefined) return;
      problems.push(problem);
      if (peer !== null) peers.failed(peer, problem, request.atPeers?.isBinding ?? false);
    }
    throw unavailable(request, problems);
  };
  const receive = async ({ path, url, checksum }: FileRequest, signal?: AbortSignal): Promise<void> => {
    const { maxBytes, timeoutMs } = options;
    // Beside the folders that are served, under a name that no file of a transaction can have. Another source goes on
    // where the last one was cut.
    const arrivesAt = join(incomingDir, createHash("sha256").update(path).digest("hex"));
    const limits = { maxBytes, timeoutMs, ...(signal ? { signal } : {}) };
    await downloadFile({ url, path: arrivesAt, checksum, ...limits });
    await rename(arrivesAt, path);
  };

  return {
    async fetch(request, { signal } = {}) {
      const underWay = arriving.get(request.path);
      if (underWay) {
        if (underWay.checksum !== request.checksum) throw twoContents(request);
        return underWay.done;
      }
      const done = download(request, signal).finally(() => arriving.delete(request.path));
      arriving.set(request.path, { checksum: request.checksum, done });
      return done;
    },
    isArriving: (path) => arriving.has(path),
  };
}

/** What can't be read is refused when it is asked for. */
function hostOf(url: string): string {
  return URL.canParse(url) ? new URL(url).host : "";
}

interface Source {
  readonly url: string;
  /** The server of another node; null for the transaction's own URL: what lies there is its author's business. */
  readonly peer: string | null;
}

/** The URL of the transaction first, then the nodes that are connected. */
function sourcesOf({ url, atPeers }: FileRequest, peers: readonly string[]): Source[] {
  const others = atPeers ? peers.map((peer) => ({ url: `${peer}${atPeers.path}`, peer })) : [];
  const own = others.find((each) => each.url === url) ?? { url, peer: null };
  return [own, ...others.filter((each) => each.url !== url)];
}

function unavailable(request: FileRequest, problems: readonly unknown[]): GevulotError {
  const [cause] = problems;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const others = problems.length > 1 ? ` Nor do the ${problems.length - 1} other nodes that were asked.` : "";
  const advice = isGevulotError(cause)
    ? ""
    : " Check that the address can be reached from the node and that the file is there.";
  return new GevulotError(
    "FILE_UNAVAILABLE",
    `Can't get ${request.what} from ${request.url}: ${reason.replace(/\.?$/, ".")}${others}${advice}`,
    { context: { what: request.what, url: request.url }, cause },
  );
}

function twoContents(request: FileRequest): GevulotError {
  return new GevulotError(
    "FILE_UNAVAILABLE",
    `${request.what} is named twice in the transaction with different checksums. Give each its own path.`,
    { context: { what: request.what, url: request.url } },
  );
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  );
}
