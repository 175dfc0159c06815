import { GevulotError } from "../../errors.ts";

declare module "../../errors.ts" {
  interface ErrorContexts {
    /** A JSON value that is not what it should be; `path` is where, e.g. `payload.Run.workflow.steps[0].program`. */
    WIRE_VALUE_INVALID: { path: string; problem: string };
  }
}

/**
 * One type's JSON form, both ways. What `toJson` makes is for `stringifyJson`, since it may hold bigints and byte
 * arrays; `fromJson` takes what `parseJson` gives and throws `WIRE_VALUE_INVALID`.
 */
export interface JsonCodec<T> {
  toJson(value: T): unknown;
  fromJson(json: unknown, path: string): T;
}

export function invalidAt(
  path: string,
  problem: string,
  cause?: unknown,
): GevulotError<"WIRE_VALUE_INVALID"> {
  return new GevulotError("WIRE_VALUE_INVALID", `${path === "" ? "The value" : path}: ${problem}.`, {
    context: { path, problem },
    cause,
  });
}

/** Says in a few words what a value is, for messages. */
export function describe(json: unknown): string {
  if (json === null) return "null";
  if (json === undefined) return "nothing";
  if (Array.isArray(json)) return `an array of ${json.length}`;
  if (typeof json === "string")
    return json.length > 40 ? `a string of ${json.length} characters` : `"${json}"`;
  return typeof json === "object" ? "an object" : String(json);
}

export function expectObject(json: unknown, path: string): Readonly<Record<string, unknown>> {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalidAt(path, `an object is wanted, not ${describe(json)}`);
  }
  return json as Record<string, unknown>;
}

export function expectArray(json: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(json)) throw invalidAt(path, `an array is wanted, not ${describe(json)}`);
  return json;
}

/** An object's own field: a name like `constructor` finds nothing where the sender wrote none. */
export function ownField(object: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined;
}

export function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
