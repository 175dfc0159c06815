import type { Codec } from "./codec.ts";

/** Fields one after the other, in the order in which they are given here. */
export function struct<T extends object>(fields: { readonly [K in keyof T]-?: Codec<T[K]> }): Codec<T> {
  const entries = Object.entries(fields) as [keyof T & string, Codec<unknown>][];
  return {
    minBytes: entries.reduce((sum, [, codec]) => sum + codec.minBytes, 0),
    write: (value, to) => {
      for (const [name, codec] of entries) codec.write(value[name], to);
    },
    read: (from) => Object.fromEntries(entries.map(([name, codec]) => [name, codec.read(from)])) as T,
  };
}

/** A u64 count, then the items. */
export function sequence<T>(item: Codec<T>): Codec<readonly T[]> {
  return {
    minBytes: 8,
    write: (value, to) => {
      to.u64(BigInt(value.length));
      for (const each of value) item.write(each, to);
    },
    // An item of no bytes would make the count unbounded.
    read: (from) => Array.from({ length: from.count(Math.max(1, item.minBytes)) }, () => item.read(from)),
  };
}

/** A byte 0, or a byte 1 and the value. */
export function nullable<T>(codec: Codec<T>): Codec<T | null> {
  return {
    minBytes: 1,
    write: (value, to) => {
      to.u8(value === null ? 0 : 1);
      if (value !== null) codec.write(value, to);
    },
    read: (from) => {
      const tag = from.u8();
      if (tag > 1) throw from.error(`an option begins with 0 or 1, not ${tag}`, from.offset - 1);
      return tag === 0 ? null : codec.read(from);
    },
  };
}

type Variants<U extends { readonly kind: string }> = {
  readonly [K in U["kind"]]: Codec<Omit<Extract<U, { kind: K }>, "kind">>;
};

/** A u32 index in the order in which the variants are given here, then the variant's fields. */
export function variants<U extends { readonly kind: string }>(codecs: Variants<U>): Codec<U> {
  const kinds = Object.keys(codecs) as U["kind"][];
  const codecOf = (kind: U["kind"]) => codecs[kind] as unknown as Codec<object>;
  return {
    minBytes: 4 + Math.min(...kinds.map((kind) => codecOf(kind).minBytes)),
    write: (value, to) => {
      const kind: U["kind"] = value.kind;
      to.u32(kinds.indexOf(kind));
      codecOf(kind).write(value, to);
    },
    read: (from) => {
      const index = from.u32();
      const kind = kinds[index];
      if (kind === undefined) throw from.error(`no variant has the index ${index}`, from.offset - 4);
      return { kind, ...codecOf(kind).read(from) } as unknown as U;
    },
  };
}

/** The form of another type. `read` may throw what it likes: it is told with the offset at which the value began. */
export function mapped<T, W>(
  codec: Codec<W>,
  map: { readonly write: (value: T) => W; readonly read: (wire: W) => T },
): Codec<T> {
  return {
    minBytes: codec.minBytes,
    write: (value, to) => codec.write(map.write(value), to),
    read: (from) => {
      const at = from.offset;
      const wire = codec.read(from);
      try {
        return map.read(wire);
      } catch (cause) {
        throw from.error(cause instanceof Error ? cause.message : String(cause), at);
      }
    },
  };
}
