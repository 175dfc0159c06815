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

const MAX_DEPTH = 256;
/** A byte makes a tuple, and a tuple takes two hundred bytes of memory. A file has about ten values. */
const MAX_VALUES = 4_000_000;

/**
 * Reads the tuples of one log. Work and memory are bounded by the number of values; a tuple may refer to itself.
 *
 * @throws GevulotError `TFS_INVALID`, when pushed.
 */
export function createTupleDecoder(version: TfsVersion): TupleDecoder {
  const named: Named[] = [];
  let root: TfsTuple | null = null;
  let values = 0;
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
  const tuple = (input: Cursor, { isImmediate, length }: Header, depth: number): TfsTuple => {
    const result = isImmediate ? new Map<string, TfsValue>() : refer(input.varint());
    if (!(result instanceof Map)) throw tfsInvalid("a tuple refers to something else");
    if (isImmediate) named.push(result);
    checkCount(input, length, depth);
    for (let left = length; left > 0; left--) {
      const name = symbol(input);
      const entry = value(input, depth + 1);
      // In a change of an earlier tuple, nothing means that the entry is gone.
      if (entry === "" && !isImmediate) result.delete(name);
      else result.set(name, entry);
    }
    return result;
  };
  const vector = (input: Cursor, { isImmediate, length }: Header, depth: number): TfsVector => {
    const result = isImmediate ? [] : refer(input.varint());
    if (!Array.isArray(result)) throw tfsInvalid("a vector refers to something else");
    if (isImmediate) named.push(result);
    checkCount(input, length, depth);
    for (let index = 0; index < length; index++) result[index] = value(input, depth + 1);
    return result;
  };
  const value = (input: Cursor, depth: number): TfsValue => {
    if (++values > MAX_VALUES) throw tfsInvalid(`its metadata has more than ${MAX_VALUES} values`);
    const header = readHeader(input, version);
    const { type, isImmediate, length } = header;
    if (type === VALUE_TYPE.tuple) return tuple(input, header, depth);
    if (type === VALUE_TYPE.vector) return vector(input, header, depth);
    if (type === VALUE_TYPE.integer) return BigInt(input.varint());
    if (type !== VALUE_TYPE.symbol && type !== VALUE_TYPE.string) {
      throw tfsInvalid(`there is a value of the unknown type ${type}`);
    }
    return isImmediate || length === 0 ? input.take(length).toString() : refer(length);
  };

  return {
    get root() {
      return root;
    },
    push(bytes) {
      const input = createCursor(bytes);
      const found = value(input, 0);
      if (!(found instanceof Map)) throw tfsInvalid("there is no tuple at its root");
      if (input.left > 0) throw tfsInvalid("there are bytes after a tuple");
      root ??= found;
    },
  };
}

/** In version 4 there is one bit for the type: symbol, which stands for all text, or tuple. */
function readHeader(input: Cursor, version: TfsVersion): Header {
  const bits = LENGTH_BITS[version];
  const first = input.take(1)[0] as number;
  const low = first & ((1 << bits) - 1);
  return {
    isImmediate: (first & 0x80) !== 0,
    type: (first & 0x7f) >> (bits + 1),
    length: (first & (1 << bits)) === 0 ? low : input.varint(low),
  };
}
