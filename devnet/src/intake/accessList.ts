import { GevulotError, isGevulotError } from "gevulot-sdk";
import { parsePublicKey, type Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import { addToAccessList, isAccessListEmpty, readAccessList } from "../store/accessList.ts";
import type { Database } from "../store/database.ts";
import { createBatchedLoader } from "../store/loadBatched.ts";

export interface AccessList extends AsyncDisposable {
  /** Throws `TX_NOT_ALLOWED` where the author is not listed. */
  require(tx: Transaction): Promise<void>;
}

export interface AccessListOptions {
  /** `auto`: on with a URL, and from the moment on that the table has a key. */
  readonly mode: "auto" | "on" | "off";
  /** A text file, one hex key a line, merged into the table every ten minutes. */
  readonly url?: string | undefined;
  /** Always allowed: the node's own key, which signs its results. */
  readonly ownKey: string;
}

const MERGE_MS = 600_000;
const FETCH_TIMEOUT_MS = 30_000;
const MAX_LIST_CHARS = 4 * 2 ** 20;
const MAX_LOOKUP = 256;

/** Who may have transactions stored here (protocol section 3). */
export function createAccessList(
  deps: { readonly log: Logger; readonly database: Database },
  options: AccessListOptions,
): AccessList {
  const { log, database } = deps;
  const stop = new AbortController();
  const listed = createBatchedLoader((keys) => readAccessList(database, keys), { maxKeys: MAX_LOOKUP });
  let isOn = options.mode === "on" || (options.mode === "auto" && options.url !== undefined);

  let timer: NodeJS.Timeout | undefined;
  let merging: Promise<void> = Promise.resolve();
  const merge = (url: string): void => {
    merging = mergeList(database, url, log, stop.signal).catch((error: Error) => {
      if (!stop.signal.aborted)
        log.warn({ url, reason: error.message }, "the access list was not fetched; the table stays as it is");
    });
  };
  if (options.url !== undefined && options.mode !== "off") {
    const { url } = options;
    merge(url);
    timer = setInterval(() => merge(url), MERGE_MS);
  }

  return {
    async require({ author, hash }) {
      if (options.mode === "off" || author === options.ownKey) return;
      const [isListed, isEmpty] = await Promise.all([
        listed(author),
        isOn ? false : isAccessListEmpty(database),
      ]);
      // Once on, on: that the last key is taken from the table must not let everybody in.
      if (!isEmpty) isOn = true;
      if (isOn && isListed === null) {
        throw new GevulotError(
          "TX_NOT_ALLOWED",
          `The author ${author} is not on this node's access list. Ask its operator for: gevulot-node peer ${author} whitelist`,
          { context: { hash } },
        );
      }
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      stop.abort();
      await merging;
    },
  };
}

/** Adds what the list has; a list that is empty, or lacks keys, removes nobody. */
async function mergeList(database: Database, url: string, log: Logger, signal: AbortSignal): Promise<void> {
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]),
  });
  if (!response.ok) throw new Error(`HTTP status ${response.status}`);
  let text = "";
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_LIST_CHARS) throw new Error(`it is longer than ${MAX_LIST_CHARS} characters`);
  }
  const keys = text.split(/\r?\n/).flatMap((line, index) => {
    if (line.trim() === "") return [];
    try {
      return [parsePublicKey(line.trim())];
    } catch (error) {
      if (!isGevulotError(error)) throw error;
      log.warn({ url, line: index + 1 }, "a line of the access list is no public key and was left out");
      return [];
    }
  });
  const added = await addToAccessList(database, keys);
  if (added > 0) log.info({ url, added }, "the access list has new keys");
}
