import { cancel } from "../actions/cancel.ts";
import { type Deployment, type DeployOptions, deploy } from "../actions/deploy.ts";
import type { FoundHash } from "../actions/findHashes.ts";
import { getProgram } from "../actions/getProgram.ts";
import { getRunStatus } from "../actions/getRunStatus.ts";
import { getTransaction } from "../actions/getTransaction.ts";
import { getTransactionTree } from "../actions/getTransactionTree.ts";
import type {
  ListedProgram,
  ListedRun,
  ListedTask,
  ListOptions,
  ListRunsOptions,
  ListTasksOptions,
  Page,
} from "../actions/lists.ts";
import { type ProveOptions, prove } from "../actions/prove.ts";
import { type RunOptions, run } from "../actions/run.ts";
import { sendTransaction } from "../actions/sendTransaction.ts";
import {
  checkCount,
  checkFunction,
  checkHttpUrl,
  checkMs,
  checkObject,
  checkText,
  optionInvalid,
} from "../context/checkOptions.ts";
import type { ActionOptions, ClientContext, FileMode } from "../context/context.ts";
import type { FileHostOptions, Platform } from "../context/platform.ts";
import { createSignerSource, type SignerOptions, signWith } from "../context/signer.ts";
import type { PipelineClient } from "../pipeline/pipelineClient.ts";
import { parseHash } from "../protocol/hash.ts";
import type { RpcTransaction } from "../protocol/rpc/rpcTransaction.ts";
import type { TransactionTree } from "../protocol/rpc/transactionTree.ts";
import { randomNonce } from "../protocol/signTransaction.ts";
import type { Hash, Payload, ProgramMetadata, PublicKey, Transaction } from "../protocol/transaction.ts";
import type { RunStatus } from "../runStatus.ts";
import type { RunTrace } from "../runTrace.ts";
import { createHttpTransport } from "../transport/httpTransport.ts";
import { createLazyPipeline } from "./lazyPipeline.ts";
import { createRunHandle, type RunHandle } from "./runHandle.ts";

/** One of `key`, `keyFile` and `signer` is needed to send anything. */
export interface GevulotClientOptions extends SignerOptions {
  /** The node's JSON-RPC; default `http://127.0.0.1:9944`. */
  readonly url?: string;
  /** For one attempt of a call; default 30 s. */
  readonly timeoutMs?: number;
  /** For `sendTransaction`, which the node answers when it has every file; default five minutes. */
  readonly sendTimeoutMs?: number;
  /** Of calls that change nothing, where the node can't be reached; default 2. */
  readonly retries?: number;
  /** Longest answer that is read; default 64 MiB. */
  readonly maxReplyBytes?: number;
  /**
   * How local files get to the node: `serve`, by this client over HTTP while the node fetches them; `upload`, to the node's
   * own file store first, for clients that the node can't reach. The default `auto` serves, but uploads from a browser,
   * and where the node is on another machine, `fileHost` names no address of this one, and the node takes uploads.
   */
  readonly files?: FileMode;
  /** Where local files are served; default a free port of 127.0.0.1. */
  readonly fileHost?: FileHostOptions;
  /** Where uploads go, if the address that the node gives for its files does not lead there from here. */
  readonly uploadUrl?: string;
  /** What a node with `--access-token-file` wants; goes with calls, events and uploads, never with downloads. */
  readonly accessToken?: string;
  /** The `api_addr` of a stage of the proving pipeline; default `http://127.0.0.1:50020`. */
  readonly pipelineUrl?: string;
  readonly fetch?: typeof globalThis.fetch;
}

export const DEFAULT_URL = "http://127.0.0.1:9944";
export const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_PIPELINE_URL = "http://127.0.0.1:50020";
const DEFAULT_SEND_TIMEOUT_MS = 5 * 60_000;
const DEFAULT_RETRIES = 2;
const DEFAULT_MAX_REPLY_BYTES = 64 * 2 ** 20;

/** The client without its platform; each entry of the package exports one that has it. */
export class CoreClient {
  readonly #context: ClientContext;
  /** A stage of the proving pipeline, where this client's account is a user: its key is an Ethereum account's too. */
  readonly pipeline: PipelineClient;

  constructor(options: GevulotClientOptions, platform: Platform) {
    checkClientOptions(options);
    // Called with no `this`: browsers refuse a fetch that is called as another object's method.
    const fetch: typeof globalThis.fetch = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
    const transport = createHttpTransport(
      { fetch },
      {
        url: options.url ?? DEFAULT_URL,
        timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        retries: options.retries ?? DEFAULT_RETRIES,
        maxReplyBytes: options.maxReplyBytes ?? DEFAULT_MAX_REPLY_BYTES,
        accessToken: options.accessToken,
      },
    );
    this.#context = {
      transport,
      platform,
      fetch,
      getSigner: createSignerSource(platform, options),
      files: {
        mode: options.files ?? "auto",
        fileHost: options.fileHost ?? {},
        uploadUrl: options.uploadUrl,
        accessToken: options.accessToken,
      },
      sendTimeoutMs: options.sendTimeoutMs ?? DEFAULT_SEND_TIMEOUT_MS,
    };
    this.pipeline = createLazyPipeline({
      ...{ url: options.pipelineUrl ?? DEFAULT_PIPELINE_URL, fetch },
      getSigner: this.#context.getSigner,
    });
  }

  /** The node's JSON-RPC address. */
  get url(): string {
    return this.#context.transport.url;
  }

  /** Of the account that signs. Throws `NO_KEY`. */
  async getPublicKey(): Promise<PublicKey> {
    return (await this.#context.getSigner()).publicKey;
  }

  /**
   * Deploys a prover and a verifier, from local image files or URLs; resolves once the node has both images. Throws
   * `REFUSED`, `CANNOT_REACH_NODE`, `PROGRAM_INVALID`, `FILE_UNREADABLE`, `FILE_HOST_FAILED`, `NO_KEY` or `CANCELLED`.
   */
  deploy(options: DeployOptions): Promise<Deployment> {
    return deploy(this.#context, options);
  }

  /**
   * Sends a Run of any steps; resolves once the node has taken it, with a handle to wait for its end. Throws `REFUSED`,
   * `CANNOT_REACH_NODE`, `INPUT_INVALID`, `FILE_UNREADABLE`, `FILE_HOST_FAILED`, `NO_KEY` or `CANCELLED`.
   */
  async run(options: RunOptions): Promise<RunHandle> {
    return createRunHandle(this.#context, await run(this.#context, options));
  }

  /** The short form of `run` for a prover and its verifier, with the same errors. */
  async prove(options: ProveOptions): Promise<RunHandle> {
    return createRunHandle(this.#context, await prove(this.#context, options));
  }

  /** A handle for a Run that was sent before. `stepCount` (default 2) is needed on nodes without `getRunStatus`. */
  getRun(hash: Hash, options: { readonly stepCount?: number } = {}): RunHandle {
    return createRunHandle(this.#context, { hash: parseHash(hash), stepCount: options.stepCount ?? 2 });
  }

  /**
   * Sends a transaction that was signed before; resolves with its hash once the node has stored it. Throws `REFUSED`,
   * `CANNOT_REACH_NODE` or `CANCELLED`.
   */
  sendTransaction(transaction: Transaction, options?: ActionOptions): Promise<Hash> {
    return sendTransaction(this.#context, transaction, options);
  }

  /** A transaction by its hash. Throws `REFUSED`, of the kind `NotFound`, where the node has none. */
  getTransaction(hash: Hash, options?: ActionOptions): Promise<RpcTransaction> {
    return getTransaction(this.#context, hash, options);
  }

  /** The Run that a hash belongs to, with its Proofs and Verifications. Throws `REFUSED` as `getTransaction` does. */
  getTransactionTree(hash: Hash, options?: ActionOptions): Promise<TransactionTree> {
    return getTransactionTree(this.#context, hash, options);
  }

  /**
   * Where a Run stands, with each task and attempt. Throws `REFUSED`, of the kind `NotFound`, for an unknown Run, and
   * `RPC_CALL_INVALID` with `rpcCode` -32601 on a node without this extension of the protocol.
   */
  getRunStatus(run: Hash, options?: ActionOptions): Promise<RunStatus> {
    return getRunStatus(this.#context, run, options);
  }

  /** What the node did for a Run, and when. Throws as `getRunStatus` does. */
  async getRunTrace(run: Hash, options?: ActionOptions): Promise<RunTrace> {
    const { getRunTrace } = await import("./later.ts");
    return getRunTrace(this.#context, run, options);
  }

  /**
   * Ends a Run that was sent before: its VM is stopped, what is queued never starts, and it fails with the code
   * `CANCELLED`. Only its own author may. Throws `REFUSED`, `CANNOT_REACH_NODE`, `NO_KEY` or `CANCELLED`.
   */
  cancel(run: Hash, options?: ActionOptions): Promise<Hash> {
    return cancel(this.#context, run, options);
  }

  /**
   * Signs without a node: nothing is sent. Carry it as text by `transactionToJson` and `parseTransaction` of
   * `gevulot-sdk/protocol`, and send it elsewhere by `sendTransaction`. Throws `NO_KEY`.
   */
  async signTransaction(payload: Payload, options: { readonly nonce?: bigint } = {}): Promise<Transaction> {
    return signWith(await this.#context.getSigner(), payload, options.nonce ?? randomNonce());
  }

  /**
   * A deployed program, by its hash. Throws `REFUSED`, of the kind `NotFound`, for an unknown one, and
   * `RPC_CALL_INVALID` with `rpcCode` -32601 on a node without this extension of the protocol; so do the lists.
   */
  getProgram(program: Hash, options?: ActionOptions): Promise<ProgramMetadata> {
    return getProgram(this.#context, program, options);
  }

  /** What the node keeps under hashes that begin with these 4 to 64 hex digits. Throws as `getProgram` does. */
  async findHashes(prefix: string, options?: ActionOptions): Promise<readonly FoundHash[]> {
    const { findHashes } = await import("./later.ts");
    return findHashes(this.#context, prefix, options);
  }

  /** The Runs that the node keeps, newest first, a page at a time. */
  async listRuns(options?: ListRunsOptions): Promise<Page<ListedRun>> {
    const { listRuns } = await import("./later.ts");
    return listRuns(this.#context, options);
  }

  /** The programs that are deployed, likewise. */
  async listPrograms(options?: ListOptions): Promise<Page<ListedProgram>> {
    const { listPrograms } = await import("./later.ts");
    return listPrograms(this.#context, options);
  }

  /** The tasks of the node, likewise. */
  async listTasks(options?: ListTasksOptions): Promise<Page<ListedTask>> {
    const { listTasks } = await import("./later.ts");
    return listTasks(this.#context, options);
  }
}

const FILE_MODES: readonly unknown[] = ["auto", "serve", "upload"] satisfies FileMode[];
const MAX_PORT = 65_535;

function checkClientOptions(options: GevulotClientOptions): void {
  checkObject("options", options);
  const { url = DEFAULT_URL, pipelineUrl = DEFAULT_PIPELINE_URL } = options;
  const { files = "auto", fileHost = {}, uploadUrl, accessToken, fetch } = options;
  const { timeoutMs, sendTimeoutMs, retries, maxReplyBytes } = options;
  checkHttpUrl("url", url);
  checkHttpUrl("pipelineUrl", pipelineUrl);
  checkMs({ timeoutMs, sendTimeoutMs });
  checkCount("retries", retries);
  checkCount("maxReplyBytes", maxReplyBytes, 1);
  if (!FILE_MODES.includes(files)) throw optionInvalid("files", `give "auto", "serve" or "upload".`);
  checkObject("fileHost", fileHost);
  checkCount("fileHost.port", fileHost.port, 0, MAX_PORT);
  if (fileHost.host !== undefined) checkText("fileHost.host", fileHost.host);
  if (fileHost.advertise !== undefined) checkText("fileHost.advertise", fileHost.advertise);
  if (fileHost.paths !== undefined && !["content", "path"].includes(fileHost.paths))
    throw optionInvalid("fileHost.paths", 'give "content" or "path".');
  if (uploadUrl !== undefined) checkHttpUrl("uploadUrl", uploadUrl);
  // Without the value: errors go into logs.
  if (accessToken !== undefined && !/^[\x21-\x7e]+$/.test(accessToken))
    throw optionInvalid("accessToken", "give the token's text, without blanks.");
  checkFunction("fetch", fetch);
}
