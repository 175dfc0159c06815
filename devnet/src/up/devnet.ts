import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GevulotClient, GevulotError } from "gevulot-sdk";
import { createStack, type DisposeStack } from "../disposeStack.ts";
import { removeTree } from "../removeTree.ts";
import { type Account, writeKeyFiles } from "./accounts.ts";
import { createDevnetNode, type DevnetNode } from "./devnetNode.ts";
import { type DevnetOptions, START_TIMEOUT_MS } from "./devnetOptions.ts";
import { createPostgres, type Postgres } from "./postgres.ts";
import { ensureStateDir } from "./stateDir.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NODES: { nodes: number };
  }
}

/** A running network. `close` and `await using` end it, and leave nothing behind. */
export interface Devnet extends AsyncDisposable {
  readonly nodes: readonly [DevnetNode, ...DevnetNode[]];
  /** Developer keys, the same in every devnet. */
  readonly accounts: readonly [Account, ...Account[]];
  readonly postgres: Pick<Postgres, "stop" | "start" | "version" | "binaries" | "port">;
  readonly stateDir: string;
  /** What was decided otherwise than asked for, e.g. another port. */
  readonly warnings: readonly string[];
  /** A client of the first node with the first developer key. */
  client(options?: Partial<ConstructorParameters<typeof GevulotClient>[0]>): GevulotClient;
  close(): Promise<void>;
}

/**
 * Starts a Gevulot network on this machine: PostgreSQL, then a node that runs provers and verifiers in VMs.
 *
 * @example
 * ```ts
 * await using net = await startDevnet();
 * const run = await net.client().prove({ prover, verifier, args: ["--nonce", "42"] });
 * ```
 * @throws GevulotError `DEVNET_NODES`, `NODE_START_FAILED`, `QEMU_NOT_FOUND` and those of `createPostgres`
 */
export async function startDevnet(options: DevnetOptions = {}): Promise<Devnet> {
  const { nodes = 1, onProgress = () => {} } = options;
  if (nodes !== 1) {
    throw new GevulotError(
      "DEVNET_NODES",
      `${nodes} nodes were asked for; this version runs one. Leave --nodes out.`,
      {
        context: { nodes },
      },
    );
  }
  await using stack = createStack();
  const stateDir = await prepareStateDir(stack, options);
  const { accounts, nodeKeyFile } = await writeKeyFiles(join(stateDir, "keys"));
  const postgres = stack.use(
    await createPostgres({
      dataDir: join(stateDir, "postgres"),
      durable: options.stateDir !== undefined,
      startTimeoutMs: options.startTimeoutMs ?? START_TIMEOUT_MS,
      onProgress,
      onExit: (reason) => options.onExit?.(`PostgreSQL: ${reason}`),
      ...(options.signal && { signal: options.signal }),
    }),
  );
  const warnings: string[] = [];
  const databaseUrl = await postgres.createDatabase("node0");
  const node = await createDevnetNode(stack, options, { stateDir, nodeKeyFile, databaseUrl, warnings });
  const running = stack.move();
  const close = async () => {
    await running[Symbol.asyncDispose]();
  };
  return {
    nodes: [node],
    accounts: accounts as [Account, ...Account[]],
    postgres,
    stateDir,
    warnings,
    client: (more = {}) =>
      new GevulotClient({ url: node.rpcUrl, key: accounts[0]?.secretKey as string, ...more }),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function prepareStateDir(stack: DisposeStack, options: DevnetOptions): Promise<string> {
  if (options.stateDir === undefined) {
    const dir = await mkdtemp(join(tmpdir(), "gevulot-devnet-"));
    stack.defer(() => removeTree(dir));
    return dir;
  }
  return ensureStateDir(options.stateDir, { fresh: options.fresh ?? false });
}
