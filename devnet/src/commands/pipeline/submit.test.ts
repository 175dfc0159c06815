import { describe, expect, it } from "vitest";
import yargs from "yargs";
import { pipelineSubmitCommand } from "./submit.ts";

const submit = async (...args: string[]) =>
  yargs(["submit", ...args])
    .command({ ...pipelineSubmitCommand, handler: () => {} })
    .exitProcess(false)
    .fail((message) => {
      throw new Error(message);
    })
    .parseAsync();

describe("pipeline submit", () => {
  it("wants an ELF unless the run begins at agg", async () => {
    await expect(submit()).rejects.toThrow("An ELF is needed unless --from agg.");
    expect(await submit("--from", "agg", "--receipt", "earlier.bin")).toMatchObject({ from: "agg" });
    expect(await submit("guest.elf")).toMatchObject({ elf: "guest.elf" });
  });
});
