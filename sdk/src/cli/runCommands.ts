import type { CommandModule } from "yargs";
import { safeName } from "../node/safeText.ts";
import type { RunStatus, TaskStatus } from "../runStatus.ts";
import { createClient } from "./commonOptions.ts";
import { runCommand } from "./output.ts";
import { type HashArguments, withHash } from "./readCommands.ts";

/** As much of a key as the node's log has of an author. */
const NODE_DIGITS = 16;

export const statusCommand: CommandModule<object, HashArguments> = {
  command: "status <hash>",
  describe: "Show where a run stands",
  builder: withHash("Of a run"),
  handler: (args) =>
    runCommand("status", args, async () => {
      const status = await createClient(args).getRunStatus(args.hash);
      return { lines: statusLines(status), data: status };
    }),
};

function statusLines(status: RunStatus): string[] {
  return [
    `Run ${status.run}: ${status.state}`,
    `submitted ${status.submittedAt}${status.endedAt === null ? "" : `, ended ${status.endedAt}`}`,
    ...status.tasks.map(taskLine),
    ...status.proofs.map((hash) => `Proof: ${hash}`),
    ...status.verifications.map((hash) => `Verification: ${hash}`),
    ...status.unreached.map(
      ({ tx, bytes, peers }) =>
        `Too large for ${peers.length} peers of version 1: ${tx}, ${bytes} bytes (${peers.join(", ")})`,
    ),
    ...(status.failure === null ? [] : [`Failed: ${status.failure.code}: ${status.failure.message}`]),
  ];
}

function taskLine({ step, kind, programName, state, waitsFor, attempts, node }: TaskStatus): string {
  const why = waitsFor === null ? "" : `, ${waitsFor}`;
  const where = node === null ? "" : `, node ${node.slice(0, NODE_DIGITS)}`;
  return `step ${step} ${kind} "${safeName(programName)}": ${state}${why}, attempts ${attempts.length}${where}`;
}

export const logsCommand: CommandModule<object, HashArguments> = {
  command: "logs <hash>",
  describe: "Show the last 4 KiB of the console of each attempt of a run's tasks",
  builder: withHash("Of a run"),
  handler: (args) =>
    runCommand("logs", args, async () => {
      const { tasks } = await createClient(args).getRunStatus(args.hash);
      const logs = tasks.flatMap(({ step, kind, programName, attempts }) =>
        attempts.map(({ number, consoleTail }) => ({
          step,
          kind,
          programName,
          attempt: number,
          consoleTail,
        })),
      );
      const lines = logs.flatMap(({ step, kind, programName, attempt, consoleTail }) => [
        `--- step ${step} ${kind} "${safeName(programName)}", attempt ${attempt}`,
        ...(consoleTail === "" ? [] : [consoleTail.replace(/\n$/, "")]),
      ]);
      return { lines: lines.length > 0 ? lines : ["No task of this run has started yet."], data: logs };
    }),
};

export const cancelCommand: CommandModule<object, HashArguments> = {
  command: "cancel <hash>",
  describe: "End a run, with the key that sent it",
  builder: withHash("Of a run"),
  handler: (args) =>
    runCommand("cancel", args, async () => {
      const hash = await createClient(args).cancel(args.hash);
      return { lines: [`Cancel sent. Tx hash:${hash}`], data: { hash } };
    }),
};
