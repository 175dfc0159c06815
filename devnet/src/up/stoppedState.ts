import { access } from "node:fs/promises";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { createStack } from "../disposeStack.ts";
import { loadState } from "../state/loadState.ts";
import { openDatabase } from "../state/openDatabase.ts";
import type { HostedNode, StateHost } from "../state/stateHost.ts";
import { claimDevnet } from "./claimDevnet.ts";
import { createPostgres, type Postgres } from "./postgres.ts";
import { ensureStateDir, isStateDir } from "./stateDir.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STATE_NOTHING: { stateDir: string };
  }
}

const POSTGRES_FOLDER = "postgres";

export interface StoppedStateOptions {
  /** Makes the folder where there is none yet. */
  readonly create: boolean;
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * The state of a devnet that doesn't run: its PostgreSQL alone is started, until this is disposed of.
 * @throws GevulotError `STATE_NOTHING`, `DEVNET_RUNNING` and those of `createPostgres`
 */
export async function openStoppedState(
  path: string,
  { create, ...options }: StoppedStateOptions,
): Promise<StateHost & AsyncDisposable> {
  const dataDir = join(path, POSTGRES_FOLDER);
  if (!create && !((await isStateDir(path)) && (await exists(dataDir)))) {
    throw new GevulotError(
      "STATE_NOTHING",
      `There is no devnet in ${path} yet, so there is nothing to save. Start one with: gevulot-devnet up`,
      { context: { stateDir: path } },
    );
  }
  await using stack = createStack();
  const stateDir = await ensureStateDir(path);
  stack.defer(await claimDevnet(stateDir));
  const postgres = stack.use(await createPostgres({ dataDir, ...options }));
  const nodes = await readNodes(postgres, stateDir);
  const running = stack.move();
  return {
    stateDir,
    nodes,
    async load(saved) {
      const placed = [...nodes];
      for (const { name } of saved.manifest.nodes) {
        if (nodes.some((node) => node.name === name)) continue;
        await postgres.createDatabase(name);
        placed.push(hosted(postgres, stateDir, name));
      }
      await loadState({ stateDir, nodes: placed }, saved);
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

async function readNodes(postgres: Postgres, stateDir: string): Promise<HostedNode[]> {
  const client = await openDatabase(postgres.url());
  try {
    const found = await client.query<{ name: string }>(
      "select datname as name from pg_database where datname ~ '^node[0-9]+$' order by length(datname), datname",
    );
    return found.rows.map(({ name }) => hosted(postgres, stateDir, name));
  } finally {
    await client.end();
  }
}

function hosted(postgres: Postgres, stateDir: string, name: string): HostedNode {
  return { name, dataDir: join(stateDir, name), databaseUrl: postgres.url(name) };
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
