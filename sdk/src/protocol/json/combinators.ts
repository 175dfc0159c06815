import {
  describe,
  expectArray,
  expectObject,
  invalidAt,
  type JsonCodec,
  joinPath,
  ownField,
} from "./jsonCodec.ts";

type FieldCodecs<T> = { readonly [K in keyof T]-?: readonly [wireName: string, codec: JsonCodec<T[K]>] };

/**
 * An object whose fields come in the order given here, under their names on the wire. Unknown fields are passed over,
 * as the existing node does. `unit` names a field that is always `null`.
 */
export function jsonObject<T extends object>(fields: FieldCodecs<T>, unit?: string): JsonCodec<T> {
  const entries = Object.entries(fields) as [keyof T & string, readonly [string, JsonCodec<unknown>]][];
  return {
    toJson: (value) => {
      const json: Record<string, unknown> = {};
      for (const [name, [wireName, codec]] of entries) json[wireName] = codec.toJson(value[name]);
      if (unit !== undefined) json[unit] = null;
      return json;
    },
    fromJson: (json, path) => {
      const object = expectObject(json, path);
      if (unit !== undefined && (ownField(object, unit) ?? null) !== null) {
        throw invalidAt(joinPath(path, unit), `null is wanted, not ${describe(object[unit])}`);
      }
      return Object.fromEntries(
        entries.map(([name, [wireName, codec]]) => [
          name,
          codec.fromJson(ownField(object, wireName), joinPath(path, wireName)),
        ]),
      ) as T;
    },
  };
}

export function jsonArray<T>(item: JsonCodec<T>): JsonCodec<readonly T[]> {
  return {
    toJson: (value) => value.map((each) => item.toJson(each)),
    fromJson: (json, path) => expectArray(json, path).map((each, i) => item.fromJson(each, `${path}[${i}]`)),
  };
}

/** `null`, or a field that is not there, for null. */
export function jsonNullable<T>(codec: JsonCodec<T>): JsonCodec<T | null> {
  return {
    toJson: (value) => (value === null ? null : codec.toJson(value)),
    fromJson: (json, path) => (json === null || json === undefined ? null : codec.fromJson(json, path)),
  };
}

type JsonVariants<U extends { readonly kind: string }> = {
  readonly [K in U["kind"]]: readonly [
    wireName: string,
    codec: JsonCodec<Omit<Extract<U, { kind: K }>, "kind">> | null,
  ];
};

/** `{"WireName": fields}`, or the string `"WireName"` for a variant without fields (codec `null`). */
export function jsonVariants<U extends { readonly kind: string }>(variants: JsonVariants<U>): JsonCodec<U> {
  const entries = Object.entries(variants) as [U["kind"], readonly [string, JsonCodec<object> | null]][];
  const byKind = new Map(entries);
  const byWireName = new Map(
    entries.map(([kind, [wireName, codec]]) => [wireName, { kind, codec }] as const),
  );
  const wireNames = [...byWireName.keys()].join(", ");
  return {
    toJson: (value) => {
      const [wireName, codec] = byKind.get(value.kind)!;
      return codec === null ? wireName : { [wireName]: codec.toJson(value) };
    },
    fromJson: (json, path) => {
      const { wireName, fields } = splitVariant(json, path);
      const variant = byWireName.get(wireName);
      if (variant === undefined) throw invalidAt(path, `${describe(wireName)} is none of ${wireNames}`);
      const { kind, codec } = variant;
      if (codec !== null)
        return { kind, ...codec.fromJson(fields, joinPath(path, wireName)) } as unknown as U;
      if (fields !== null) throw invalidAt(path, `${wireName} has no fields`);
      return { kind } as unknown as U;
    },
  };
}

function splitVariant(json: unknown, path: string): { wireName: string; fields: unknown } {
  if (typeof json === "string") return { wireName: json, fields: null };
  const entries = Object.entries(expectObject(json, path));
  const [entry] = entries;
  if (entry === undefined || entries.length > 1) {
    throw invalidAt(
      path,
      `an object with one field, the variant's name, is wanted, not one with ${entries.length}`,
    );
  }
  return { wireName: entry[0], fields: entry[1] };
}
