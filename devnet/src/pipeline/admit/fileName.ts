/** A file system takes 255, of which a file on its way into place adds `.<uuid>.tmp`. */
export const MAX_NAME_BYTES = 214;
/** Separators and control characters. */
const NOT_IN_NAMES = /[/\\\p{Cc}]/u;

/** Names of requests become names of files: one name each, no path. */
export function isFileName(name: string): boolean {
  const isDots = name === "." || name === "..";
  return name.length > 0 && Buffer.byteLength(name) <= MAX_NAME_BYTES && !isDots && !NOT_IN_NAMES.test(name);
}
