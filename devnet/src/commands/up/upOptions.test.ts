import { describe, expect, test } from "vitest";
import yargs from "yargs";
import { checkUpOptions, upOptions } from "./upOptions.ts";

/** What yargs says of the words, or null where it takes them. */
async function problemOf(words: readonly string[]): Promise<string | null> {
  let problem: string | null = null;
  await yargs([...words])
    .options(upOptions)
    .check(checkUpOptions)
    .parserConfiguration({ "boolean-negation": false })
    .exitProcess(false)
    .fail((message: string) => {
      problem = message;
    })
    .parseAsync();
  return problem;
}

describe("up's options", () => {
  test.each([
    [[]],
    [["--nodes", "5", "--rpc-port", "9944", "--no-explorer"]],
    [["--inspect", "--provider", "process"]],
    [["--docker"]],
    [["--docker", "--nodes", "5", "--provider", "process", "--fresh", "-d", "--kvm", "--image", "i:1", "-q"]],
  ])("takes %j", async (words) => {
    expect(await problemOf(words)).toBeNull();
  });

  test.each([
    [["--nodes", "0"], "--nodes must be a whole number above 0."],
    [["--mem-gb", "-1"], "--mem-gb must be a number above 0."],
    [["--rpc-port", "65536"], "--rpc-port must be a whole number from 1 to 65535."],
    [["--inspect=x"], "--inspect wants a port"],
    [["--join", "node"], "--join wants host:port"],
    [["--gateway", "0.0.0.0:70000"], "--gateway wants host:port"],
    [["--docker", "--rpc-port", "9944"], "--rpc-port does nothing with --docker."],
    [["--docker", "--execution", "all"], "--execution does nothing with --docker."],
    [["--docker", "--no-explorer"], "--no-explorer does nothing with --docker."],
    [["--docker", "--gateway", "0.0.0.0:19000"], "--gateway does nothing with --docker."],
    [["--docker", "--nodes", "51"], "--nodes must be a whole number from 1 to 50."],
  ])("refuses %j", async (words, message) => {
    expect(await problemOf(words)).toContain(message);
  });
});
