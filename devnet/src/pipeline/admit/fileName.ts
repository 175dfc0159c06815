const MAX_NAME_CHARS = 255;
/** Separators and control characters. */
const NOT_IN_NAMES = /[/\\\p{Cc}]/u;

/** Names of requests become names of files: one name each, no path. */
export function isFileName(name: string): boolean {
  const isDots = name === "." || name === "..";
  return name.length > 0 && name.length <= MAX_NAME_CHARS && !isDots && !NOT_IN_NAMES.test(name);
}
