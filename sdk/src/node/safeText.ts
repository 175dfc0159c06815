/**
 * What a program or a stranger wrote, for a terminal: without what moves its cursor or rewrites its title. Colours stay,
 * and end with the text.
 */
export function safeText(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  const safe = text.replace(/\x1b(?!\[[\d;]*m)|[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f\x80-\x9f]/g, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that of a colour.
  const last = safe.match(/\x1b\[[\d;]*m/g)?.at(-1);
  return last === undefined || /\[0*m$/.test(last) ? safe : `${safe}\x1b[0m`;
}

/** The same of a name, which is one line and has no colours. */
export function safeName(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
  return text.replace(/[\x00-\x1f\x7f-\x9f]+/g, " ");
}
