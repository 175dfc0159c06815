import { afterEach, describe, expect, it, vi } from "vitest";
import yargs from "yargs";
import { pipelineStageCommand } from "./stage.ts";

afterEach(() => vi.unstubAllEnvs());

/** What the command is told, with the variable of the existing service. */
async function proveNodesNum(variable: string, ...args: string[]): Promise<unknown> {
  vi.stubEnv("PROVE_NODES_NUM", variable);
  let told: unknown;
  const handler = (argv: object): void => {
    told = (argv as Record<string, unknown>)["prove-nodes-num"];
  };
  await yargs(["stage", ...args])
    .command({ ...pipelineStageCommand, handler })
    .parseAsync();
  return told;
}

describe("pipeline stage", () => {
  it("takes how many listed nodes prove from the option, else from the existing service's variable", async () => {
    expect(await proveNodesNum("2")).toBe(2);
    expect(await proveNodesNum("2", "--prove-nodes-num", "3")).toBe(3);
    expect(await proveNodesNum("")).toBeUndefined();
  });
});
