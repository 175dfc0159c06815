import { type OpenTfs, openNanos } from "./openNanos.ts";
import { isTuple, type TfsTuple, type TfsValue } from "./tfsValue.ts";

/** What a Nanos image says of itself in its root tuple. */
export interface NanosInfo {
  readonly kind: "nanos";
  readonly sizeBytes: number;
  readonly label: string;
  readonly uuid: string;
  readonly encoding: number;
  /** Null for a volume. */
  readonly program: string | null;
  /** The program's name first, as it sees them. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Device to path, as stored: `%0` is the share of a node. */
  readonly mounts: Readonly<Record<string, string>>;
  /** The rest of the root tuple. */
  readonly flags: Readonly<Record<string, unknown>>;
}

const KNOWN = new Set(["children", "program", "arguments", "environment", "mounts"]);
/** A node's share has the tag 0 (the protocol's packaging page, section 4). */
const NODE_TAG = /^%0+$/;

/** @throws GevulotError `IMAGE_INVALID` */
export async function readNanosInfo(path: string): Promise<NanosInfo> {
  await using file = await openNanos(path, []);
  return nanosInfo(file.root, file.sizeBytes);
}

export function nanosInfo(tfs: OpenTfs, sizeBytes: number): NanosInfo {
  const { root } = tfs;
  const program = root.get("program");
  const budget = { left: MAX_SHOWN };
  const flags = [...root].filter(([name]) => !KNOWN.has(name));
  return {
    kind: "nanos",
    sizeBytes,
    label: tfs.label,
    uuid: formatUuid(tfs.uuid),
    encoding: tfs.version,
    program: typeof program === "string" ? program : null,
    args: textsOf(root.get("arguments")),
    env: textMap(root.get("environment")),
    mounts: textMap(root.get("mounts")),
    flags: Object.fromEntries(flags.map(([name, value]) => [name, plain(value, 0, budget)])),
  };
}

/** Where a node's share appears in the guest, as stored; null where nothing mounts it. */
function nodeMount({ mounts }: Pick<NanosInfo, "mounts">): string | null {
  return Object.entries(mounts).find(([id]) => NODE_TAG.test(id))?.[1] ?? null;
}

/** Why a node can't run tasks with an image; null where it can. */
export function nodeMountProblem(info: Pick<NanosInfo, "mounts" | "program">): string | null {
  if (info.program === null) return "it is a volume: it holds no program";
  const place = nodeMount(info);
  if (place?.endsWith(":ro")) {
    return `it mounts the node's share read-only (${place}), so that no result can be written; build it without ":ro"`;
  }
  if (place !== null) return null;
  const stored = Object.entries(info.mounts).map(([id, path]) => `${id} at ${path}`);
  return (
    "it mounts no share of the node, whose tag is 0, so that the program would find no task and its result would be " +
    `lost (its mounts: ${stored.join(", ") || "none"}); build it with "Mounts": {"%1": "/workspace"}`
  );
}

function formatUuid(uuid: Buffer): string {
  return uuid.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function textsOf(value: TfsValue | undefined): string[] {
  // In the old encoding a list is a tuple with the numbers as names.
  const items = Array.isArray(value) ? value : isTuple(value) ? inOrder(value) : [];
  return items.map((item) => (typeof item === "object" ? "" : String(item)));
}

function inOrder(tuple: TfsTuple): TfsValue[] {
  return [...tuple].sort(([a], [b]) => Number(a) - Number(b)).map(([, value]) => value);
}

function textMap(value: TfsValue | undefined): Record<string, string> {
  if (!isTuple(value)) return {};
  return Object.fromEntries(
    [...value].flatMap(([name, one]) => (typeof one === "object" ? [] : [[name, String(one)]])),
  );
}

const MAX_DEPTH = 16;
/** Of all that is shown: a list may hold itself many times over. */
const MAX_SHOWN = 10_000;

function plain(value: TfsValue, depth: number, budget: { left: number }): unknown {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "string") return value;
  // A tuple may hold itself.
  if (depth > MAX_DEPTH || budget.left <= 0) return "…";
  budget.left -= Array.isArray(value) ? value.length : value.size;
  if (budget.left < 0) return "…";
  if (Array.isArray(value)) return value.map((one) => plain(one, depth + 1, budget));
  return Object.fromEntries([...value].map(([name, one]) => [name, plain(one, depth + 1, budget)]));
}
