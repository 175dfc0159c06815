import type { Argv, CommandModule, InferredOptionTypes } from "yargs";
import { safeName } from "../node/safeText.ts";
import type { RunState, TaskStatus } from "../runStatus.ts";
import { type CommonArguments, createClient } from "./commonOptions.ts";
import { type Output, runCommand } from "./output.ts";

const RUN_STATES = ["submitted", "proving", "verifying", "complete", "failed"] as const satisfies RunState[];
const TASK_STATES = ["queued", "running", "done", "failed"] as const satisfies TaskStatus["state"][];

const listOptions = {
  author: { type: "string", describe: "Only by this public key" },
  state: {
    type: "string",
    describe: `Of a run: ${RUN_STATES.join(", ")}; of a task: ${TASK_STATES.join(", ")}`,
  },
  before: { type: "string", describe: "What the page before ended with, or an ISO 8601 time" },
  limit: { type: "number", default: 20, describe: "At most 100" },
} as const;

type Arguments = CommonArguments &
  InferredOptionTypes<typeof listOptions> & { readonly what: "runs" | "programs" | "tasks" };

export const listCommand: CommandModule<object, Arguments> = {
  command: "list <what>",
  describe: "List runs, programs or tasks, newest first",
  builder: (yargs: Argv) =>
    yargs
      .positional("what", { choices: ["runs", "programs", "tasks"] as const, demandOption: true })
      .options(listOptions) as unknown as Argv<Arguments>,
  handler: (args) => runCommand("list", args, () => list(args)),
};

async function list(args: Arguments): Promise<Output> {
  const client = createClient(args);
  const { author, before, limit } = args;
  const options = { author, before, limit };
  if (args.what === "programs") {
    const page = await client.listPrograms(options);
    const lines = page.items.map((item) => `${item.deployedAt}  ${item.program}  ${safeName(item.name)}`);
    return { lines: withNext(lines, page.next), data: page };
  }
  if (args.what === "runs") {
    const page = await client.listRuns({ ...options, state: args.state as RunState | undefined });
    const lines = page.items.map((item) => `${item.submittedAt}  ${item.run}  ${item.state}`);
    return { lines: withNext(lines, page.next), data: page };
  }
  const page = await client.listTasks({ ...options, state: args.state as TaskStatus["state"] | undefined });
  const lines = page.items.map(
    (item) =>
      `${item.queuedAt}  ${item.run}  step ${item.step} ${item.kind} "${safeName(item.programName)}"  ${item.state}`,
  );
  return { lines: withNext(lines, page.next), data: page };
}

function withNext(lines: readonly string[], next: string | null): string[] {
  if (lines.length === 0) return ["none"];
  return next === null ? [...lines] : [...lines, `older ones: --before ${next}`];
}
