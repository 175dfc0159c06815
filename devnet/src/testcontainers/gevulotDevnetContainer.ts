import { randomBytes } from "node:crypto";
import { GevulotClient, type GevulotClientOptions } from "gevulot-sdk";
import { AbstractStartedContainer, GenericContainer, type StartedTestContainer, Wait } from "testcontainers";
import { containerFailed } from "./containerFailed.ts";
import { createLastLines } from "./lastLines.ts";
import { createMappedFetch } from "./mappedFetch.ts";
import { readUpLine, type UpData } from "./upLine.ts";

export interface DevnetContainerNode {
  readonly name: string;
  /** As this process reaches them. */
  readonly rpcUrl: string;
  readonly httpUrl: string;
  readonly publicKey: string;
}

export interface DevnetContainerAccount {
  readonly publicKey: string;
  /** 64 hex digits; the same in every devnet. */
  readonly secretKey: string;
}

const DEFAULT_IMAGE = "localhost/gevulot-devnet:latest";
/** Inside; on the host they are any. */
const GATEWAY_PORT = 19_000;
const TOKEN_FILE = "/run/gevulot-token";
const TOKEN_BYTES = 32;
const START_TIMEOUT_MS = 120_000;
const MAX_NODES = 50;

/**
 * A devnet in one container: nodes and PostgreSQL, ready when `start()` resolves. The image is the target `devnet` of this
 * package's `containers/Containerfile`. Programs run as processes of the container unless `withProvider("qemu")`.
 *
 * @example
 * ```ts
 * await using devnet = await new GevulotDevnetContainer().withNodes(3).start();
 * const run = await devnet.client().prove({ prover, verifier });
 * ```
 */
export class GevulotDevnetContainer extends GenericContainer {
  #nodes = 1;
  #provider = "process";
  #execution = "assigned";
  #timeoutMs = START_TIMEOUT_MS;
  readonly #image: string;

  constructor(image = DEFAULT_IMAGE) {
    super(image);
    this.#image = image;
  }

  /** 1 to 50; default 1. */
  withNodes(count: number): this {
    if (!Number.isInteger(count) || count < 1 || count > MAX_NODES) {
      throw new RangeError(`withNodes() takes a whole number from 1 to ${MAX_NODES}, not ${count}`);
    }
    this.#nodes = count;
    return this;
  }

  /** `qemu` needs no KVM, but is slow without; with KVM: `.withPrivilegedMode()`. Default `process`. */
  withProvider(provider: "process" | "qemu"): this {
    this.#provider = provider;
    return this;
  }

  /** Who works on a Run. Default `assigned`. */
  withExecution(execution: "assigned" | "all"): this {
    this.#execution = execution;
    return this;
  }

  override withStartupTimeout(startupTimeoutMs: number): this {
    this.#timeoutMs = startupTimeoutMs;
    return super.withStartupTimeout(startupTimeoutMs);
  }

  /** Throws `DEVNET_CONTAINER_FAILED` with what the devnet said, and what testcontainers throws where there is no engine. */
  override async start(): Promise<StartedGevulotDevnetContainer> {
    const token = randomBytes(TOKEN_BYTES).toString("hex");
    const lines = createLastLines();
    const ports = Array.from({ length: 2 * this.#nodes }, (_, index) => GATEWAY_PORT + index);
    this.withExposedPorts(...ports)
      .withCopyContentToContainer([{ content: token, target: TOKEN_FILE, mode: 0o444 }])
      .withCommand(["up", "--json", ...this.#upOptions()])
      .withLogConsumer((stream) => stream.on("data", lines.take).on("error", () => {}))
      .withWaitStrategy(Wait.forLogMessage(/"command":"up"/).withStartupTimeout(this.#timeoutMs));
    let started: StartedTestContainer | undefined;
    try {
      started = await super.start();
      return new StartedGevulotDevnetContainer(
        started,
        readUpLine(await lines.find('"command":"up"')),
        token,
      );
    } catch (error) {
      await started?.stop();
      if (lines.all().length === 0) throw error;
      throw containerFailed(this.#image, lines.all(), error);
    }
  }

  #upOptions(): string[] {
    return [
      ...["--nodes", String(this.#nodes), "--provider", this.#provider, "--execution", this.#execution],
      ...["--gateway", `0.0.0.0:${GATEWAY_PORT}`, "--gateway-token-file", TOKEN_FILE],
    ];
  }
}

/** A devnet that runs. `stop()`, or `await using`, removes it. */
export class StartedGevulotDevnetContainer extends AbstractStartedContainer {
  readonly nodes: readonly DevnetContainerNode[];
  readonly accounts: readonly DevnetContainerAccount[];
  /** For calls and uploads: `Authorization: Bearer …`. Downloads need none. */
  readonly accessToken: string;
  readonly #fetch: typeof globalThis.fetch;

  constructor(started: StartedTestContainer, data: UpData, accessToken: string) {
    super(started);
    const urlOf = (index: number) =>
      `http://${started.getHost()}:${started.getMappedPort(GATEWAY_PORT + index)}`;
    this.accessToken = accessToken;
    this.accounts = data.accounts;
    this.nodes = data.nodes.map(({ name, publicKey }, index) => ({
      ...{ name, publicKey },
      rpcUrl: urlOf(2 * index),
      httpUrl: urlOf(2 * index + 1),
    }));
    this.#fetch = createMappedFetch(
      new Map(data.nodes.map(({ httpUrl }, index) => [httpUrl, urlOf(2 * index + 1)])),
    );
  }

  /** A client of a node, by default the first, with the first developer key. */
  client(options: GevulotClientOptions & { readonly node?: number } = {}): GevulotClient {
    const { node = 0, ...rest } = options;
    const at = this.nodes[node];
    if (at === undefined)
      throw new RangeError(`this devnet has ${this.nodes.length} nodes, and no node ${node}`);
    const isKeyGiven = rest.keyFile !== undefined || rest.signer !== undefined;
    return new GevulotClient({
      url: at.rpcUrl,
      accessToken: this.accessToken,
      ...(!isKeyGiven && { key: this.accounts[0]?.secretKey as string }),
      // The container can't reach files that this process serves.
      files: "upload",
      uploadUrl: at.httpUrl,
      // Nodes tell their files' addresses as they are inside.
      fetch: this.#fetch,
      ...rest,
    });
  }
}
