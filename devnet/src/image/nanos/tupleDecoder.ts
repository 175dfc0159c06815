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
import { createTupleKeeping, type Kept } from "./tupleKeeping.ts";

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

const MAX_DEPTH = 256;
/**
 * Reads the tuples of one log. Work and memory are bounded by the number of values; a tuple may refer to itself.
 *
 * @param only the one file or folder that is wanted, by the names on its way; of an empty way only the root's attributes.
 * @throws GevulotError `TFS_INVALID`, when pushed.
 */
export function createTupleDecoder(version: TfsVersion, only?: readonly string[]): TupleDecoder {
  const named: Named[] = [];
  const keeping = createTupleKeeping(only);
  let root: TfsTuple | null = null;
  const refer = (number: number) => namedAt(named, number);
  const tuple = (input: Cursor, { isImmediate, length }: Header, depth: number, wanted: Kept): TfsTuple => {
    const result = isImmediate ? keeping.newTuple(wanted) : refer(input.varint());
    if (!(result instanceof Map)) throw tfsInvalid("a tuple refers to something else");
    if (isImmediate) named.push(result);
    checkCount(input, length, depth);
    const kept = keeping.of(result);
    for (let left = length; left > 0; left--) {
      const name = readName(input, version, named);
      const keptEntry = keeping.ofEntry(kept, name);
      const entry = value(input, depth + 1, keptEntry);
      if (keptEntry === "none") continue;
      // In a change of an earlier tuple, nothing means that the entry is gone.
      if (entry === "" && !isImmediate) result.delete(name);
      else result.set(name, entry);
    }
    return result;
  };
  const vector = (input: Cursor, { isImmediate, length }: Header, depth: number, wanted: Kept): TfsVector => {
    const result = isImmediate ? keeping.newVector(wanted) : refer(input.varint());
    if (!Array.isArray(result)) throw tfsInvalid("a vector refers to something else");
    if (isImmediate) named.push(result);
    checkCount(input, length, depth);
    const kept = keeping.of(result);
    for (let index = 0; index < length; index++) {
      const item = value(input, depth + 1, kept);
      if (kept === "all") result[index] = item;
    }
    return result;
  };
  const value = (input: Cursor, depth: number, kept: Kept): TfsValue => {
    keeping.count(kept);
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
      const found = value(input, 0, keeping.first);
      if (!(found instanceof Map)) throw tfsInvalid("there is no tuple at its root");
      if (input.left > 0) throw tfsInvalid("there are bytes after a tuple");
      root ??= found;
    },
  };
}

function namedAt(named: readonly Named[], number: number): Named {
  const found = named[number - 1];
  if (found !== undefined) return found;
  throw tfsInvalid(`it refers to number ${number}, and there are ${named.length}`);
}

/** Each takes a byte at least: a count can't promise more than there is. */
function checkCount(input: Cursor, count: number, depth: number): void {
  if (count > input.left) throw tfsInvalid(`a tuple promises ${count} entries and is cut off`);
  if (depth > MAX_DEPTH) throw tfsInvalid(`it is nested more than ${MAX_DEPTH} deep`);
}

function readName(input: Cursor, version: TfsVersion, named: Named[]): string {
  const { isImmediate, type, length } = readHeader(input, version);
  if (type !== VALUE_TYPE.symbol) throw tfsInvalid("a name is no symbol");
  const name = isImmediate ? input.take(length).toString() : namedAt(named, length);
  if (typeof name !== "string") throw tfsInvalid("a name refers to a tuple");
  if (isImmediate) named.push(name);
  return name;
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
