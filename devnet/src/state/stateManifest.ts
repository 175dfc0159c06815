import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { z } from "zod";
import { relativePathProblem } from "../files/layout.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STATE_INVALID: { source: string };
    STATE_TOO_NEW: { source: string; found: number; known: number };
  }
}

/** Of the archive, not of the database: that has its own in each node's `schemaVersion`. */
export const STATE_VERSION = 1;
export const MANIFEST_FILE = "manifest.json";
export const BLOBS_FOLDER = "blobs";

/** Of a node's folder; caches, workspaces and logs of the node itself are not part of the state. */
export const STATE_FOLDERS: readonly { readonly name: string; readonly isFixed: boolean }[] = [
  { name: "images", isFixed: true },
  { name: "txfiles", isFixed: true },
  { name: "uploads", isFixed: true },
  // Consoles of tasks, which are written as the tasks run.
  { name: "log", isFixed: false },
];
export const KEYS_FOLDER = "keys";

/** A transaction's file has its folder before its longest path in the VM. */
const MAX_PATH_BYTES = 2_048;

const HASH = /^[0-9a-f]{64}$/;
const hash = z.string().regex(HASH);
const name = z.string().regex(/^[a-z][a-z0-9_]{0,62}$/);
const path = z
  .string()
  .refine((text) => relativePathProblem(text, MAX_PATH_BYTES) === null, "an unsafe path");
const fileIn = (folders: readonly string[]) =>
  z.object({
    path: path.refine(
      (text) => text.includes("/") && folders.includes(text.split("/", 1)[0] as string),
      `not below ${folders.join(", ")}`,
    ),
    blob: hash,
  });

const database = z.object({
  /** The migration that its tables stand at. */
  schemaVersion: z.number().int().min(0),
  /** Rows in PostgreSQL's COPY text format, of these columns. Tables without rows are left out. */
  tables: z.array(z.object({ name, columns: z.array(name).min(1), blob: hash })),
  /** None comes near the bound, which leaves a database numbers to go on with. */
  sequences: z.record(name, z.string().regex(/^\d{1,15}$/)),
});

const schema = z.object({
  format: z.literal("gevulot-devnet-state"),
  version: z.number().int().min(1),
  createdAt: z.string(),
  createdBy: z.string(),
  nodes: z.array(
    z.object({
      name: z.string().regex(/^node\d{1,3}$/),
      database,
      /** Under the node's folder. */
      files: z.array(fileIn(STATE_FOLDERS.map(({ name }) => name))),
    }),
  ),
  keys: z.array(fileIn([KEYS_FOLDER])),
  /** Each content once, by its BLAKE3. */
  blobs: z.array(z.object({ hash, bytes: z.number().int().min(0) })),
});

/** What a saved state of a devnet consists of. Unknown fields are of later versions, and ignored. */
export type StateManifest = z.infer<typeof schema>;
/** The rows of a node's database. */
export type DatabaseRows = z.infer<typeof database>;
export type StateFile = StateManifest["keys"][number];

/**
 * Reads and checks a manifest.
 * @param source what people call the state: a file, or a snapshot's name
 * @throws GevulotError `STATE_INVALID`, `STATE_TOO_NEW`
 */
export function parseManifest(text: string, source: string): StateManifest {
  let raw: { format?: unknown; version?: unknown };
  try {
    raw = JSON.parse(text) as typeof raw;
  } catch {
    throw stateInvalid(source, "its manifest is no JSON");
  }
  const { format, version } = raw ?? {};
  if (format === "gevulot-devnet-state" && typeof version === "number" && version > STATE_VERSION) {
    throw new GevulotError(
      "STATE_TOO_NEW",
      `${source} has version ${version}, this gevulot-devnet reads ${STATE_VERSION} at most. Use a newer gevulot-devnet.`,
      { context: { source, found: version, known: STATE_VERSION } },
    );
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw stateInvalid(
      source,
      `its manifest is wrong at ${issue?.path.join(".") || "its top"}: ${issue?.message}`,
    );
  }
  const known = new Set(parsed.data.blobs.map((blob) => blob.hash));
  const missing = blobsOf(parsed.data).find((blob) => !known.has(blob));
  if (missing !== undefined) throw stateInvalid(source, `its manifest does not list ${missing}`);
  return parsed.data;
}

/** Of a state in a folder. */
export async function readManifest(dir: string, source: string): Promise<StateManifest> {
  return parseManifest(await readFile(join(dir, MANIFEST_FILE), "utf8"), source);
}

export function stateInvalid(source: string, reason: string, cause?: unknown): GevulotError {
  return new GevulotError(
    "STATE_INVALID",
    `${source} is no state of a devnet, or is damaged: ${reason}. Nothing was changed. Take another copy of it, or export it again.`,
    { context: { source }, cause },
  );
}

function blobsOf({ nodes, keys }: StateManifest): string[] {
  return [
    ...keys.map(({ blob }) => blob),
    ...nodes.flatMap((node) => [...node.database.tables, ...node.files].map(({ blob }) => blob)),
  ];
}
