/**
 * As much of protobuf as `proto/vm_service.proto` needs: numbers, texts, bytes, messages. Fields that nobody knows are
 * skipped, whatever their type.
 */
export interface Field {
  readonly number: number;
  /** 0: number, 1: eight bytes, 2: bytes, 5: four bytes. */
  readonly wireType: number;
  /** A number for the type 0, else bytes: a view of what is read. */
  readonly value: bigint | Buffer;
}

/** Malformed bytes; says what and where. */
export class ProtobufError extends Error {
  override readonly name = "ProtobufError";
}

const VARINT = 0;
const BYTES = 2;
/** Lengths of the types with a fixed one. */
const FIXED: Readonly<Record<number, number>> = { 1: 8, 5: 4 };
const MAX_VARINT_BITS = 70n;
const MAX_KEY = 2n ** 32n - 1n;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export function encodeVarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}

export function bytesField(number: number, bytes: Uint8Array): Buffer {
  return Buffer.concat([encodeVarint(number * 8 + BYTES), encodeVarint(bytes.length), bytes]);
}

export function textField(number: number, text: string): Buffer {
  return bytesField(number, Buffer.from(text, "utf8"));
}

export function numberField(number: number, value: number): Buffer {
  return Buffer.concat([encodeVarint(number * 8 + VARINT), encodeVarint(value)]);
}

/**
 * The fields of a message, in their order.
 *
 * @param maxFields what reading may cost, where a stranger wrote it: a field takes two bytes
 * @throws ProtobufError
 */
export function* readFields(bytes: Buffer, maxFields = Number.POSITIVE_INFINITY): Generator<Field, void> {
  let at = 0;
  let count = 0;
  const readVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < MAX_VARINT_BITS; shift += 7n) {
      const byte = bytes[at];
      if (byte === undefined) throw new ProtobufError(`the message ends within a number at byte ${at}`);
      at += 1;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return BigInt.asUintN(64, value);
    }
    throw new ProtobufError(`the number before byte ${at} is too long`);
  };
  while (at < bytes.length) {
    if (++count > maxFields) throw new ProtobufError(`the message has more than ${maxFields} fields`);
    const key = readVarint();
    const number = Number(key >> 3n);
    const wireType = Number(key & 7n);
    if (number === 0 || key > MAX_KEY) throw new ProtobufError(`there is no field ${number} (byte ${at})`);
    if (wireType === VARINT) {
      yield { number, wireType, value: readVarint() };
      continue;
    }
    const length = wireType === BYTES ? readVarint() : BigInt(FIXED[wireType] ?? -1);
    if (length < 0n) throw new ProtobufError(`field ${number} has the type ${wireType}, which is not in use`);
    if (length > bytes.length - at) throw new ProtobufError(`field ${number} is longer than its message`);
    const end = at + Number(length);
    yield { number, wireType, value: bytes.subarray(at, end) };
    at = end;
  }
}

/** The field's bytes, or null if it has another type than the reader wants: such a field is unknown. */
export function bytesOf(field: Field): Buffer | null {
  return field.wireType === BYTES ? (field.value as Buffer) : null;
}

/** @throws ProtobufError where the bytes are no UTF-8 */
export function textOf(field: Field): string | null {
  const bytes = bytesOf(field);
  if (bytes === null) return null;
  try {
    return utf8.decode(bytes);
  } catch {
    throw new ProtobufError(`field ${field.number} is no UTF-8 text`);
  }
}

export function numberOf(field: Field): bigint | null {
  return field.wireType === VARINT ? (field.value as bigint) : null;
}
