import { randomBytes } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type pg from "pg";
import { type BlobFolder, createBlobFolder } from "./blobFolder.ts";
import { emptyTables, loadRows, RowsProblem } from "./databaseRows.ts";
import { openDatabase } from "./openDatabase.ts";
import type { HostedNode, SavedState, StateHost } from "./stateHost.ts";
import { STATE_FOLDERS, type StateFile, stateInvalid } from "./stateManifest.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STATE_NODES: { source: string; saved: number; running: number };
  }
}

/** For rows that somebody else, such as a person with psql, holds. */
const LOCK_TIMEOUT_MS = 10_000;

/**
 * Puts a saved state in the place of a devnet's own, while no node uses its database. All databases are filled before
 * anything is replaced and the first is committed: where something fails, the devnet stays as it was.
 *
 * @throws GevulotError `STATE_NODES`, `STATE_INVALID`
 */
export async function loadState(
  { stateDir, nodes }: Pick<StateHost, "stateDir" | "nodes">,
  { dir, manifest, source }: SavedState,
): Promise<void> {
  const placed = placeNodes(nodes, { manifest, source });
  const blobs = await createBlobFolder(dir);
  const files = placed.flatMap(({ node, files }) => files.map((file) => ({ ...file, root: node.dataDir })));
  const keys = manifest.keys.map((file) => ({ ...file, root: stateDir }));
  for (const file of files.filter(isFixed)) await addFile(file, blobs);
  const changing = [...keys, ...files.filter((file) => !isFixed(file))];
  await loadDatabases(nodes, { manifest, source }, blobs, () => replaceFiles(changing, blobs));
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
  { manifest, source }: Pick<SavedState, "manifest" | "source">,
  blobs: BlobFolder,
  beforeCommit: () => Promise<void>,
): Promise<void> {
  const clients: pg.Client[] = [];
  try {
    for (const { databaseUrl } of nodes) clients.push(await openDatabase(databaseUrl));
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
    if (failed)
      throw isOfRows(failed.reason)
        ? stateInvalid(source, failed.reason.message, failed.reason)
        : failed.reason;
    await beforeCommit();
    for (const client of clients) await client.query("commit");
  } finally {
    // What is not committed is undone with its connection.
    await Promise.all(clients.map((client) => client.end()));
  }
}

/** PostgreSQL's classes for what rows can be: of a wrong form, against a constraint, of columns that are not there. */
function isOfRows(error: unknown): error is Error {
  return error instanceof RowsProblem || /^(22|23|42)/.test((error as { code?: string }).code ?? "");
}

interface PlacedFile extends StateFile {
  readonly root: string;
}

const FIXED_FOLDERS = new Set(STATE_FOLDERS.flatMap(({ name, isFixed }) => (isFixed ? [name] : [])));

/** Its name stands for a content that never changes. */
const isFixed = ({ path }: StateFile): boolean => FIXED_FOLDERS.has(path.split("/", 1)[0] as string);

/** What is there is what is wanted. */
async function addFile({ root, path, blob }: PlacedFile, blobs: BlobFolder): Promise<void> {
  const target = join(root, path);
  await mkdir(dirname(target), { recursive: true });
  await blobs.place(blob, target, { isFixed: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

/** All are written beside their places before the first takes its own. */
async function replaceFiles(files: readonly PlacedFile[], blobs: BlobFolder): Promise<void> {
  const suffix = `.${randomBytes(4).toString("hex")}.new`;
  const blobOf = new Map(files.map(({ root, path, blob }) => [join(root, path), blob]));
  const targets = [...blobOf.keys()];
  try {
    for (const [target, blob] of blobOf) {
      await mkdir(dirname(target), { recursive: true });
      await blobs.place(blob, target + suffix, { isFixed: false });
    }
    for (const target of targets) await rename(target + suffix, target);
  } finally {
    await Promise.all(targets.map((target) => rm(target + suffix, { force: true })));
  }
}
