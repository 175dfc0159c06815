import { mkdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import pg from "pg";
import { type BlobFolder, createBlobFolder } from "./blobFolder.ts";
import { emptyTables, loadRows } from "./databaseRows.ts";
import { STATE_FOLDERS } from "./saveState.ts";
import type { HostedNode, SavedState, StateHost } from "./stateHost.ts";
import type { StateFile, StateManifest } from "./stateManifest.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STATE_NODES: { source: string; saved: number; running: number };
  }
}

/** For rows that somebody else, such as a person with psql, holds. */
const LOCK_TIMEOUT_MS = 10_000;

/**
 * Puts a saved state in the place of a devnet's own, while no node uses its database. All databases are filled before
 * the first is committed, and files are only added: where something fails, the devnet stays as it was.
 *
 * @throws GevulotError `STATE_NODES`
 */
export async function loadState(
  { stateDir, nodes }: Pick<StateHost, "stateDir" | "nodes">,
  { dir, manifest, source }: SavedState,
): Promise<void> {
  const placed = placeNodes(nodes, { manifest, source });
  const blobs = await createBlobFolder(dir);
  await addFiles(stateDir, manifest.keys, blobs);
  for (const { node, files } of placed) await addFiles(node.dataDir, files, blobs);
  await loadDatabases(nodes, manifest, blobs);
}

/** Which node gets which saved one. Throws `STATE_NODES`. */
export function placeNodes(
  nodes: readonly HostedNode[],
  { manifest, source }: Pick<SavedState, "manifest" | "source">,
): { readonly node: HostedNode; readonly files: readonly StateFile[] }[] {
  return manifest.nodes.map((saved) => {
    const node = nodes.find(({ name }) => name === saved.name);
    if (node === undefined) throw tooFewNodes(source, manifest.nodes.length, nodes.length);
    return { node, files: saved.files };
  });
}

function tooFewNodes(source: string, saved: number, running: number): GevulotError {
  return new GevulotError(
    "STATE_NODES",
    `${source} has ${saved} nodes, the running devnet ${running}. Stop it (gevulot-devnet down), load again, and start it with --nodes ${saved}.`,
    { context: { source, saved, running } },
  );
}

async function loadDatabases(
  nodes: readonly HostedNode[],
  manifest: StateManifest,
  blobs: BlobFolder,
): Promise<void> {
  const clients = await Promise.all(nodes.map(({ databaseUrl }) => openClient(databaseUrl)));
  try {
    const filled = await Promise.allSettled(
      nodes.map(async ({ name }, index) => {
        const client = clients[index] as pg.Client;
        await client.query(`begin; set local lock_timeout = ${LOCK_TIMEOUT_MS}`);
        const rows = manifest.nodes.find((saved) => saved.name === name)?.database;
        // A node that the state does not have hears of it from the others.
        await (rows ? loadRows(client, rows, blobs) : emptyTables(client));
      }),
    );
    const failed = filled.find((each) => each.status === "rejected");
    if (failed) throw failed.reason;
    for (const client of clients) await client.query("commit");
  } finally {
    // What is not committed is undone with its connection.
    await Promise.all(clients.map((client) => client.end()));
  }
}

async function openClient(databaseUrl: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  return client;
}

/** Names of contents that never change: what is there is what is wanted. */
async function addFiles(root: string, files: readonly StateFile[], blobs: BlobFolder): Promise<void> {
  const fixed = new Set(STATE_FOLDERS.flatMap(({ name, isFixed }) => (isFixed ? [name] : [])));
  for (const { path, blob } of files) {
    const target = join(root, path);
    const isFixed = fixed.has(path.split("/", 1)[0] as string);
    await mkdir(dirname(target), { recursive: true });
    await blobs.place(blob, target, { isFixed }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  }
}
