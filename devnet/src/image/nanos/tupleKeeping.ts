import { tfsInvalid } from "./tfsInvalid.ts";
import type { TfsTuple, TfsVector } from "./tfsValue.ts";

/** What of a tuple is kept: all, nothing, or what lies on the way to one file. */
export type Kept = "all" | "none" | { readonly of: "node" | "children"; readonly depth: number };

/** A file has seven or eight values. */
const MAX_VALUES = 4_000_000;
/**
 * A byte makes a tuple, and a tuple takes two hundred bytes of memory and a microsecond: where strangers' images are read,
 * the files' are not kept, and what is kept is little.
 */
const MAX_VALUES_OF_FEW = 1_000_000;
const MAX_KEPT_OF_FEW = 100_000;

/** Says what of a file system's metadata becomes objects in memory, and counts. */
export interface TupleKeeping {
  /** Of the tuple at the root. */
  readonly first: Kept;
  of(value: TfsTuple | TfsVector): Kept;
  ofEntry(tuple: Kept, name: string): Kept;
  /** Those that are not kept are one, and nothing is put into it. */
  newTuple(kept: Kept): TfsTuple;
  newVector(kept: Kept): TfsVector;
  /** @throws GevulotError `TFS_INVALID`: there are too many values. */
  count(kept: Kept): void;
}

/** @param only names on the way to the one file or folder that is wanted; without it, all is. */
export function createTupleKeeping(only?: readonly string[]): TupleKeeping {
  const maxValues = only ? MAX_VALUES_OF_FEW : MAX_VALUES;
  const notKept: { readonly tuple: TfsTuple; readonly vector: TfsVector } = { tuple: new Map(), vector: [] };
  /** Where all is kept it is not here. */
  const known = new Map<TfsTuple | TfsVector, Kept>([
    [notKept.tuple, "none"],
    [notKept.vector, "none"],
  ]);
  let values = 0;
  let keptValues = 0;
  return {
    first: only ? { of: "node", depth: 0 } : "all",
    of: (value) => known.get(value) ?? "all",
    ofEntry(tuple, name) {
      if (typeof tuple === "string") return tuple;
      const { of, depth } = tuple;
      if (of === "node") return name === "children" ? { of: "children", depth } : "all";
      return name === only?.[depth] ? { of: "node", depth: depth + 1 } : "none";
    },
    newTuple(kept) {
      if (kept === "none") return notKept.tuple;
      const tuple: TfsTuple = new Map();
      if (kept !== "all") known.set(tuple, kept);
      return tuple;
    },
    newVector: (kept) => (kept === "none" ? notKept.vector : []),
    count(kept) {
      if (++values > maxValues) throw tfsInvalid(`its metadata has more than ${maxValues} values`);
      if (only === undefined || kept === "none") return;
      if (++keptValues > MAX_KEPT_OF_FEW)
        throw tfsInvalid(`its attributes have more than ${MAX_KEPT_OF_FEW} values`);
    },
  };
}
