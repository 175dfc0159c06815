import { createReader, type Reader } from "./reader.ts";
import { createWriter, type Writer } from "./writer.ts";

/** One type's bincode form, both ways (bincode 1.3 with its default options). */
export interface Codec<T> {
  /** The fewest bytes that a value takes; lets a sequence check its count before it reads. */
  readonly minBytes: number;
  write(value: T, writer: Writer): void;
  read(reader: Reader): T;
}

export function encode<T>(codec: Codec<T>, value: T): Uint8Array {
  const writer = createWriter();
  codec.write(value, writer);
  return writer.finish();
}

/** Reads one value that takes up all of the bytes. Throws `BINCODE_INVALID`. */
export function decode<T>(codec: Codec<T>, bytes: Uint8Array): T {
  const reader = createReader(bytes);
  const value = codec.read(reader);
  if (reader.remaining > 0) throw reader.error(`${reader.remaining} bytes after the end of the value`);
  return value;
}
