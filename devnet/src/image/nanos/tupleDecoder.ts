import { type Cursor, createCursor } from "./cursor.ts";
import { tfsInvalid } from "./tfsInvalid.ts";
import {
  LENGTH_BITS,
  type TfsTuple,
  type TfsValue,
  type TfsVector,
  type TfsVersion,
  VALUE_TYPE,
} from "./tfsValue.ts";

export interface TupleDecoder {
  /** The first tuple; what comes after it adds to it. */
  readonly root: TfsTuple | null;
  /** Takes one tuple of the log. References reach back to earlier ones. */
  push(bytes: Buffer): void;
}

interface Header {
  readonly isImmediate: boolean;
  readonly type: number;
  readonly length: number;
}

type Named = string | TfsTuple | TfsVector;

/** What of a tuple is kept: all, nothing, or what lies on the way to one file. */
type Kept = "all" | "none" | { readonly of: "node" | "children"; readonly depth: number };

const MAX_DEPTH = 256;
/** A file has seven or eight values. */
const MAX_VALUES = 4_000_000;
/**
 * A byte makes a tuple, and a tuple takes two hundred bytes of memory and a microsecond: where strangers' images are read,
 * the files' are not kept, and what is kept is little.
 */
const MAX_VALUES_OF_FEW = 1_000_000;
const MAX_KEPT_OF_FEW = 100_000;
const NOT_KEPT: { readonly tuple: TfsTuple; readonly vector: TfsVector } = { tuple: new Map(), vector: [] };

/**
 * Reads the tuples of one log. Work and memory are bounded by the number of values; a tuple may refer to itself.
 *
 * @param only the one file or folder that is wanted, by the names on its way; of an empty way only the root's attributes.
 * @throws GevulotError `TFS_INVALID`, when pushed.
 */
export function createTupleDecoder(version: TfsVersion, only?: readonly string[]): TupleDecoder {
  const named: Named[] = [];
  const maxValues = only ? MAX_VALUES_OF_FEW : MAX_VALUES;
  /** Where all of a tuple is kept it is not here. */
  const keptOf = new Map<TfsTuple, Kept>([[NOT_KEPT.tuple, "none"]]);
  let root: TfsTuple | null = null;
  let values = 0;
  let keptValues = 0;
  const keptOfEntry = (kept: Kept, name: string): Kept => {
    if (typeof kept === "string") return kept;
    const { of, depth } = kept;
    if (of === "node") return name === "children" ? { of: "children", depth } : "all";
    return name === only?.[depth] ? { of: "node", depth: depth + 1 } : "none";
  };
  const refer = (number: number): Named => {
    const found = named[number - 1];
    if (found !== undefined) return found;
    throw tfsInvalid(`it refers to number ${number}, and there are ${named.length}`);
  };
  /** Each takes a byte at least: a count can't promise more than there is. */
  const checkCount = (input: Cursor, count: number, depth: number): void => {
    if (count > input.left) throw tfsInvalid(`a tuple promises ${count} entries and is cut off`);
    if (depth > MAX_DEPTH) throw tfsInvalid(`it is nested more than ${MAX_DEPTH} deep`);
  };
  const symbol = (input: Cursor): string => {
    const { isImmediate, type, length } = readHeader(input, version);
    if (type !== VALUE_TYPE.symbol) throw tfsInvalid("a name is no symbol");
    const name = isImmediate ? input.take(length).toString() : refer(length);
    if (typeof name !== "string") throw tfsInvalid("a name refers to a tuple");
    if (isImmediate) named.push(name);
    return name;
  };
  const newTuple = (kept: Kept): TfsTuple => {
    if (kept === "none") return NOT_KEPT.tuple;
    const result: TfsTuple = new Map();
    if (kept !== "all") keptOf.set(result, kept);
    return result;
  };
  const tuple = (input: Cursor, { isImmediate, length }: Header, depth: number, wanted: Kept): TfsTuple => {
    const result = isImmediate ? newTuple(wanted) : refer(input.varint());
    if (!(result instanceof Map)) throw tfsInvalid("a tuple refers to something else");
    if (isImmediate) named.push(result);
    checkCount(input, length, depth);
    const kept = keptOf.get(result) ?? "all";
    for (let left = length; left > 0; left--) {
      const name = symbol(input);
      const keptEntry = keptOfEntry(kept, name);
      const entry = value(input, depth + 1, keptEntry);
      if (keptEntry === "none") continue;
      // In a change of an earlier tuple, nothing means that the entry is gone.
      if (entry === "" && !isImmediate) result.delete(name);
      else result.set(name, entry);
    }
    return result;
  };
  const vector = (input: Cursor, { isImmediate, length }: Header, depth: number, wanted: Kept): TfsVector => {
    const empty = wanted === "none" ? NOT_KEPT.vector : [];
    const result = isImmediate ? empty : refer(input.varint());
    if (!Array.isArray(result)) throw tfsInvalid("a vector refers to something else");
    if (isImmediate) named.push(result);
    checkCount(input, length, depth);
    const kept = result === NOT_KEPT.vector ? "none" : "all";
    for (let index = 0; index < length; index++) {
      const item = value(input, depth + 1, kept);
      if (kept === "all") result[index] = item;
    }
    return result;
  };
  const count = (kept: Kept): void => {
    if (++values > maxValues) throw tfsInvalid(`its metadata has more than ${maxValues} values`);
    if (only === undefined || kept === "none") return;
    if (++keptValues > MAX_KEPT_OF_FEW)
      throw tfsInvalid(`its attributes have more than ${MAX_KEPT_OF_FEW} values`);
  };
  const value = (input: Cursor, depth: number, kept: Kept): TfsValue => {
    count(kept);
    const header = readHeader(input, version);
    const { type, isImmediate, length } = header;
    if (type === VALUE_TYPE.tuple) return tuple(input, header, depth, kept);
    if (type === VALUE_TYPE.vector) return vector(input, header, depth, kept);
    if (type === VALUE_TYPE.integer) return BigInt(input.varint());
    if (type !== VALUE_TYPE.symbol && type !== VALUE_TYPE.string) {
      throw tfsInvalid(`there is a value of the unknown type ${type}`);
    }
    if (!isImmediate && length > 0) return refer(length);
    if (kept !== "none") return input.take(length).toString();
    input.skip(length);
    return "";
  };

  return {
    get root() {
      return root;
    },
    push(bytes) {
      const input = createCursor(bytes);
      const found = value(input, 0, only ? { of: "node", depth: 0 } : "all");
      if (!(found instanceof Map)) throw tfsInvalid("there is no tuple at its root");
      if (input.left > 0) throw tfsInvalid("there are bytes after a tuple");
      root ??= found;
    },
  };
}

/** In version 4 there is one bit for the type: symbol, which stands for all text, or tuple. */
function readHeader(input: Cursor, version: TfsVersion): Header {
  const bits = LENGTH_BITS[version];
  const first = input.byte();
  const low = first & ((1 << bits) - 1);
  return {
    isImmediate: (first & 0x80) !== 0,
    type: (first & 0x7f) >> (bits + 1),
    length: (first & (1 << bits)) === 0 ? low : input.varint(low),
  };
}
