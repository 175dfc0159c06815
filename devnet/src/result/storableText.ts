const MAX_CHARS = 16_384;

/**
 * What a program said, or named, as the database can hold it and people can read it: PostgreSQL's JSON takes neither a
 * NUL nor half a character, and a name may be megabytes long.
 */
export function storableText(text: string): string {
  const short = text.length > MAX_CHARS ? `${text.slice(0, MAX_CHARS)}…` : text;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is the one that can't be stored.
  return Buffer.from(short).toString().replace(/\x00/g, "");
}
