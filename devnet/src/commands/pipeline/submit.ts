import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { PipelineSubmit } from "gevulot-sdk/pipeline";
import type { CommandModule } from "yargs";
import { requireFileTarget } from "../../requireFileTarget.ts";
import { type ClientArguments, clientOptions, withClient } from "./client.ts";
import { saveProof, untilEnded, type WaitArguments, waitOptions } from "./result.ts";

interface SubmitArguments extends ClientArguments, WaitArguments {
  elf: string | undefined;
  input: string | undefined;
  "private-input": string | undefined;
  "proof-id": string | undefined;
  "seg-size": number;
  target: "split" | "agg" | "snark";
  from: "init" | "agg";
  "receipt-input": string[] | undefined;
  block: string[] | undefined;
  "block-no": string | undefined;
  composite: boolean;
  "single-node": boolean;
  priority: number;
  deadline: number | undefined;
  "max-provers": number;
}

const options = {
  input: { alias: "i", type: "string", requiresArg: true, describe: "File with the public input" },
  "private-input": { type: "string", requiresArg: true, describe: "File with the private input" },
  "proof-id": {
    type: "string",
    requiresArg: true,
    describe: "A UUID for the run: the same request again under it changes nothing. Default a new one",
  },
  "seg-size": { type: "number", default: 131_072, requiresArg: true, describe: "Steps of a segment" },
  target: {
    choices: ["split", "agg", "snark"] as const,
    default: "snark" as const,
    describe: "Where to end",
  },
  from: {
    choices: ["init", "agg"] as const,
    default: "init" as const,
    describe: "Where to begin: agg wraps the --receipt of an earlier run",
  },
  "receipt-input": {
    type: "string",
    array: true,
    requiresArg: true,
    alias: "receipt",
    describe: "Files with receipts of other runs, which the program verifies; --from agg wraps the first",
  },
  block: { type: "string", array: true, requiresArg: true, describe: "Files of the block, by their names" },
  "block-no": { type: "string", requiresArg: true, describe: "The block's number" },
  composite: { type: "boolean", default: false, describe: "End when all segments are proved" },
  "single-node": { type: "boolean", default: false, describe: "One node does all, in one step" },
  priority: { type: "number", default: 0, requiresArg: true, describe: "-100 to 100; higher goes first" },
  deadline: { type: "number", requiresArg: true, describe: "The run fails after so many seconds" },
  "max-provers": { type: "number", default: 0, requiresArg: true, describe: "Tasks at once; 0 for all" },
} as const;

export const pipelineSubmitCommand: CommandModule<object, SubmitArguments> = {
  command: "submit [elf]",
  describe: "Submit a run",
  builder: (yargs) =>
    waitOptions(clientOptions(yargs))
      .positional("elf", { type: "string", describe: "The program to prove; needed unless --from agg" })
      .options(options)
      .check(({ elf, from }) => elf !== undefined || from === "agg" || "An ELF is needed unless --from agg.")
      .check(({ block = [], "block-no": number }) => {
        const names = block.map((path) => basename(path));
        const twice = names.find((name, index) => names.indexOf(name) < index);
        if (twice !== undefined) return `--block has two files named ${twice}: rename one.`;
        return number === undefined || /^\d{1,20}$/.test(number) || "--block-no wants a whole number.";
      })
      .check(
        ({ out, wait }) =>
          out === undefined || wait || "-o needs --wait; or fetch the proof later with 'pipeline result'.",
      )
      .example("$0 pipeline submit guest.elf -i input.json --wait -o proof.json", "")
      .example("$0 pipeline submit guest.elf --block header.json txs.json --block-no 17000000", ""),
  handler: (argv) =>
    withClient("submit", argv, async (client) => {
      if (argv.out !== undefined) await requireFileTarget(argv.out);
      const run = await client.submit(await readRequest(argv));
      if (!argv.wait) return { lines: [`Run: ${run.proofId}`], data: run };
      if (!argv.json) process.stdout.write(`Run: ${run.proofId}\n`);
      return saveProof(client, await untilEnded(client, run.proofId, argv), argv);
    }),
};

async function readRequest(argv: SubmitArguments): Promise<PipelineSubmit> {
  const { input, "private-input": privateInput, "proof-id": proofId, deadline } = argv;
  const { block = [], "block-no": blockNo } = argv;
  const readAll = (paths: readonly string[] = []) => Promise.all(paths.map((path) => readFile(path)));
  const files = await readAll(block);
  return {
    ...(argv.elf !== undefined && { elf: await readFile(argv.elf) }),
    ...(input !== undefined && { publicInput: await readFile(input) }),
    ...(privateInput !== undefined && { privateInput: await readFile(privateInput) }),
    ...(proofId !== undefined && { proofId }),
    ...(deadline !== undefined && { deadlineSeconds: deadline }),
    ...(blockNo !== undefined && { blockNo: BigInt(blockNo) }),
    block: Object.fromEntries(block.map((path, index) => [basename(path), files[index]!])),
    receiptInputs: await readAll(argv["receipt-input"]),
    segSize: argv["seg-size"],
    target: argv.target,
    from: argv.from,
    composite: argv.composite,
    singleNode: argv["single-node"],
    priority: argv.priority,
    maxProvers: argv["max-provers"],
  };
}
