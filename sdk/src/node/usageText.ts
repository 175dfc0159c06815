/** What yargs finds wrong, as a line of ours, and what to do about it. */
const SENTENCES: readonly (readonly [RegExp, (...found: string[]) => string])[] = [
  [
    /^Unknown (?:arguments?|commands?): (.+)$/,
    (_usage, names) => `There is no command or option ${quoted(names)}.`,
  ],
  [/^Missing required arguments?: (.+)$/, (_usage, names) => `Give ${flags(names)}.`],
  [/^Not enough arguments following: (.+)$/, (_usage, name) => `Give ${flags(name)} a value.`],
  [/^Not enough non-option arguments/, (usage) => `Something is missing after the command: ${usage}`],
  [/^Too many non-option arguments/, (usage) => `There is too much after the command: ${usage}`],
  [
    /^Invalid values:\s+Argument: (\S+), Given: (.+), Choices: (.+)$/m,
    (_usage, name, given, choices) => `${name}: give one of ${choices}; it is ${given}.`,
  ],
];

/** A yargs instance, as its fail handler gets it. */
export interface HelpSource {
  showHelp(print: (text: string) => void): unknown;
}

export interface UsageText {
  /** One line. */
  readonly text: string;
  /** The command whose help tells more. */
  readonly command: string;
}

/**
 * What yargs says of a wrong command line, in the words of our commands. For the commands of all packages.
 *
 * @internal
 */
export function usageText(message: string, script: string, yargs: HelpSource): UsageText {
  const usage = usageLine(script, yargs);
  return { text: sentenceOf(message, usage), command: usage.replace(/ [<[].*$/, "") };
}

function sentenceOf(message: string, usage: string): string {
  for (const [pattern, sentence] of SENTENCES) {
    const found = pattern.exec(message);
    if (found) return sentence(usage, ...found.slice(1));
  }
  return message.replace(/\s*\n\s*/g, "; ");
}

/** The first line of the help of the command that was given: `gevulot-devnet image cat <file> <path>`. */
function usageLine(script: string, yargs: HelpSource): string {
  let help = "";
  yargs.showHelp((text) => {
    help = text;
  });
  const line = help.split("\n", 1)[0] as string;
  return line.startsWith(`${script} `) ? line : script;
}

function quoted(names: string): string {
  const all = names.split(", ");
  // yargs names an option of several words twice: state-dir, stateDir.
  const camelCase = all
    .filter((name) => name.includes("-"))
    .map((name) => name.replace(/-(.)/g, (_dash, letter: string) => letter.toUpperCase()));
  return all
    .filter((name) => !camelCase.includes(name))
    .map((name) => `"${name}"`)
    .join(", ");
}

function flags(names: string): string {
  return names
    .split(", ")
    .map((name) => (name.length === 1 ? `-${name}` : `--${name}`))
    .join(" and ");
}
