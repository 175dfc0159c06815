/** What yargs finds wrong, as a line of ours, and what to do about it. */
const SENTENCES: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [/^Unknown (?:arguments?|commands?): (.+)$/, (names) => `There is no command or option ${quoted(names)}.`],
  [/^Missing required arguments?: (.+)$/, (names) => `Give ${flags(names)}.`],
  [/^Not enough arguments following: (.+)$/, (name) => `Give ${flags(name)} a value.`],
  [/^Not enough non-option arguments/, () => "Something is missing after the command."],
  [/^Too many non-option arguments/, () => "There is too much after the command."],
  [
    /^Invalid values:\s+Argument: (\S+), Given: (.+), Choices: (.+)$/m,
    (name, given, choices) => `${name}: give one of ${choices}; it is ${given}.`,
  ],
];

/**
 * What yargs says of a wrong command line, in the words of our commands: one line. For the commands of all packages.
 *
 * @internal
 */
export function usageText(message: string): string {
  for (const [pattern, sentence] of SENTENCES) {
    const found = pattern.exec(message);
    if (found) return sentence(...found.slice(1));
  }
  return message.replace(/\s*\n\s*/g, "; ");
}

function quoted(names: string): string {
  return names
    .split(", ")
    .map((name) => `"${name}"`)
    .join(", ");
}

function flags(names: string): string {
  return names
    .split(", ")
    .map((name) => (name.length === 1 ? `-${name}` : `--${name}`))
    .join(" and ");
}
