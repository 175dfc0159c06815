import { encodeVarint } from "./cursor.ts";
import { LENGTH_BITS, type TfsTuple, type TfsValue, type TfsVector, VALUE_TYPE } from "./tfsValue.ts";

/** Version 5. A tuple or vector that is there twice is written once and then referred to. */
export function encodeTuple(root: TfsTuple): Buffer {
  const parts: Buffer[] = [];
  const numbers = new Map<string | TfsTuple | TfsVector, number>();
  const header = (isImmediate: boolean, type: number, length: number): void => {
    parts.push(encodeHeader(isImmediate, type, length));
  };
  const symbol = (name: string): void => {
    const number = numbers.get(name);
    if (number !== undefined) {
      header(false, VALUE_TYPE.symbol, number);
      return;
    }
    const bytes = Buffer.from(name);
    header(true, VALUE_TYPE.symbol, bytes.length);
    parts.push(bytes);
    numbers.set(name, numbers.size + 1);
  };
  const value = (one: TfsValue): void => {
    if (typeof one === "bigint") {
      header(true, VALUE_TYPE.integer, 0);
      parts.push(encodeVarint(Number(one)));
    } else if (typeof one === "string") {
      const bytes = Buffer.from(one);
      header(true, VALUE_TYPE.string, bytes.length);
      parts.push(bytes);
    } else {
      compound(one);
    }
  };
  const compound = (one: TfsTuple | TfsVector): void => {
    const type = Array.isArray(one) ? VALUE_TYPE.vector : VALUE_TYPE.tuple;
    const number = numbers.get(one);
    if (number !== undefined) {
      header(false, type, 0);
      parts.push(encodeVarint(number));
      return;
    }
    numbers.set(one, numbers.size + 1);
    if (Array.isArray(one)) {
      header(true, type, one.length);
      one.forEach(value);
      return;
    }
    header(true, type, one.size);
    for (const [name, entry] of one) {
      symbol(name);
      value(entry);
    }
  };
  value(root);
  return Buffer.concat(parts);
}

function encodeHeader(isImmediate: boolean, type: number, length: number): Buffer {
  const bits = LENGTH_BITS[5];
  let rest = length;
  const groups: number[] = [];
  while (rest >= 1 << bits) {
    groups.unshift((rest % 128) | (groups.length > 0 ? 0x80 : 0));
    rest = Math.floor(rest / 128);
  }
  const more = groups.length > 0 ? 1 << bits : 0;
  return Buffer.from([(isImmediate ? 0x80 : 0) | (type << (bits + 1)) | more | rest, ...groups]);
}
