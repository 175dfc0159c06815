/** Sections of a systemd unit; a key may come several times. */
export type UnitSections = Readonly<Record<string, readonly UnitLine[]>>;
/** Key and value, or a comment. */
export type UnitLine = readonly [key: string, value: string] | string;

/** A unit's text. Values are taken as they are meant: a `%` stands for itself. */
export function unitFile(sections: UnitSections): string {
  return Object.entries(sections)
    .map(([name, lines]) => `[${name}]\n${lines.map(lineText).join("")}`)
    .join("\n");
}

function lineText(line: UnitLine): string {
  if (typeof line === "string") return `# ${line}\n`;
  const [key, value] = line;
  if (/[\r\n\0]/.test(value)) throw new Error(`${key}: a unit's value has one line`);
  return `${key}=${value.replaceAll("%", "%%")}\n`;
}
