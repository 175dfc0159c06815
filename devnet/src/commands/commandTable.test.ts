import { expect, test } from "vitest";
import yargs, { type CommandModule } from "yargs";
import { COMMANDS } from "./commandTable.ts";

/** What they give is a file's bytes, or a log of JSON lines without end. */
const NO_ENVELOPE = /^(image (cat|template)|pipeline (stage|prover|user)|explorer)$/;
// Here, as they load most of the package's sources.
const commands = (await Promise.all(Object.values(COMMANDS).map((load) => load()))) as CommandModule[];

async function helpOf(words: readonly string[]): Promise<string> {
  return new Promise((resolve) => {
    void yargs()
      .scriptName("x")
      .command([...new Set(commands)])
      .exitProcess(false)
      .wrap(null)
      .parseAsync([...words, "--help"], {}, (_error, _argv, output) => resolve(output));
  });
}

/** All commands that do something, and their help. */
async function walk(words: readonly string[]): Promise<[string, string][]> {
  const help = await helpOf(words);
  const [, list = ""] = /\nCommands:\n((?: {2}x .*\n?)+)/.exec(help) ?? [];
  const names = [...list.matchAll(/^ {2}x ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)*)/gm)].map(
    ([, name]) => name as string,
  );
  const below = names.filter((name) => name.split(" ").length === words.length + 1);
  if (below.length === 0) return [[words.join(" "), help]];
  const nested: [string, string][] = [];
  for (const name of below) nested.push(...(await walk(name.split(" "))));
  return nested;
}

test("every command has an example in its help, and --json", async () => {
  const all = await walk([]);
  expect(all.length).toBeGreaterThan(30);
  expect(all.filter(([, help]) => !help.includes("Examples:")).map(([name]) => name)).toEqual([]);
  expect(
    all.filter(([name, help]) => !NO_ENVELOPE.test(name) && !help.includes("--json")).map(([name]) => name),
  ).toEqual([]);
});
