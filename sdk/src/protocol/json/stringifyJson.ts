/**
 * JSON text like `JSON.stringify`'s, but a bigint becomes a bare number and a `Uint8Array` an array of numbers.
 * Recurses: for values made by our own code, not for ones of unknown depth.
 */
export function stringifyJson(value: unknown): string {
  return write(value) ?? "null";
}

/** Undefined where JSON has nothing to say, as for a function: an object leaves the field out. */
function write(value: unknown): string | undefined {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  if (value instanceof Uint8Array) return `[${value.join(",")}]`;
  if (Array.isArray(value)) return `[${value.map((item) => write(item) ?? "null").join(",")}]`;
  if ("toJSON" in value && typeof value.toJSON === "function") return write(value.toJSON());
  const fields: string[] = [];
  for (const [name, item] of Object.entries(value)) {
    const text = write(item);
    if (text !== undefined) fields.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${fields.join(",")}}`;
}
