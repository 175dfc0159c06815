import type { Argv, CommandModule } from "yargs";
import { joinTraces, type NetworkTrace } from "../trace/joinTraces.ts";
import { traceTable } from "../trace/traceTable.ts";
import { report } from "./terminal/report.ts";
import {
  askNodes,
  checkNodeChoice,
  chooseNodes,
  findRunOf,
  type NodeChoice,
  nodeChoice,
} from "./up/chosenNodes.ts";

type TraceArgs = NodeChoice & { hash: string };

export const traceCommand: CommandModule<object, TraceArgs> = {
  command: "trace <hash>",
  describe: "Show what each node did for a run, and when",
  builder: (yargs: Argv) =>
    yargs
      .positional("hash", {
        type: "string",
        demandOption: true,
        describe: "Of a run, proof or verification, or its first 4 digits or more",
      })
      .options(nodeChoice)
      .check((args) => checkHash(String(args.hash)) ?? checkNodeChoice(args))
      .example("$0 trace 4b1f0a2c", "the run's spans on all nodes, in one table")
      .example(
        "$0 trace 4b1f0a2c --json --node http://10.0.0.7:9944",
        "of a node elsewhere",
      ) as Argv<TraceArgs>,
  handler: (args) =>
    report("trace", args, async () => {
      const { nodes, warnings } = await chooseNodes(args);
      const found = await findRunOf(nodes, args.hash);
      const asked = await askNodes(nodes, async ({ client }) => {
        const sentMs = Date.now();
        const trace = await client.getRunTrace(found.run);
        return { trace, skewMs: skewOf(Date.parse(trace.now), sentMs, Date.now()) };
      });
      const traces = asked.answers.map(({ node, answer }) => ({ name: node.name, trace: answer.trace }));
      const joined = joinTraces(found.run, traces);
      const skewed = asked.answers
        .filter(({ answer }) => Math.abs(answer.skewMs) > MAX_SKEW_MS)
        .map(({ node, answer }) => skewWarning(node.name, answer.skewMs));
      const left =
        joined.leftOut > 0 ? [`${joined.leftOut} spans are left out: the nodes show the first`] : [];
      const said = new Set([...warnings, ...found.warnings, ...asked.warnings, ...skewed, ...left]);
      return {
        lines: [
          headOf(joined, traces.length),
          ...traceTable(joined, { nowMs: Date.now(), width: process.stdout.columns }),
        ],
        data: joined,
        warnings: [...said],
      };
    }),
};

function headOf({ run, startedAt, endedAt }: NetworkTrace, nodes: number): string {
  const took =
    startedAt === null || endedAt === null
      ? ""
      : `: ${((Date.parse(endedAt) - Date.parse(startedAt)) / 1_000).toFixed(3)} s`;
  return `run ${run}${took} on ${nodes} ${nodes === 1 ? "node" : "nodes"}`;
}

/** Below it, the way of the answer explains it. */
const MAX_SKEW_MS = 250;

/** How far a node's clock is ahead, beyond what the way of the question can explain. */
function skewOf(nodeMs: number, sentMs: number, answeredMs: number): number {
  return nodeMs > answeredMs ? nodeMs - answeredMs : Math.min(0, nodeMs - sentMs);
}

function skewWarning(name: string, skewMs: number): string {
  const side = skewMs > 0 ? "ahead of" : "behind";
  return `the clock of ${name} is ${(Math.abs(skewMs) / 1_000).toFixed(1)} s ${side} this machine's, and so are its times`;
}

/** What is wrong with the beginning of a hash; null where nothing is. */
function checkHash(text: string): string | null {
  return /^[0-9a-fA-F]{4,64}$/.test(text) ? null : `"${text}" is no hash: 4 to 64 hex digits are wanted.`;
}
