import { resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import type { Argv, CommandModule } from "yargs";
import { claimDevnet, devnetRunning } from "../../up/claimDevnet.ts";
import { orderDevnet } from "../../up/control.ts";
import { readLastUp } from "../../up/lastUp.ts";
import { emptyStateDir, isStateDir } from "../../up/stateDir.ts";
import { type DevnetState, readState } from "../../up/stateFile.ts";
import { type Output, report } from "../terminal/report.ts";
import { createProgress, isFancy, type Progress } from "../terminal/terminal.ts";
import { startDetached } from "./detach.ts";
import type { DevnetArgs } from "./requireDevnet.ts";
import { summary } from "./summary.ts";
import { commonOptions } from "./upOptions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NEVER_UP: { stateDir: string };
  }
}

export const startCommand: CommandModule<object, DevnetArgs> = {
  command: "start",
  describe: "Start this folder's devnet again in the background, as it was started last",
  builder: (yargs: Argv) =>
    yargs.options(commonOptions).example("$0 start", "after `down` or `stop`") as Argv<DevnetArgs>,
  handler: (args) =>
    work("start", args, async (stateDir, progress) => {
      const state = await readState(stateDir);
      if (state !== null) throw devnetRunning(stateDir, state.pid, state.data.nodes[0]?.rpcUrl);
      return output(await startStopped(stateDir, progress));
    }),
};

export const restartCommand: CommandModule<object, DevnetArgs> = {
  command: "restart",
  describe: "Stop nodes and PostgreSQL and start them again, at the same addresses; state stays",
  builder: (yargs: Argv) => yargs.options(commonOptions).example("$0 restart", "") as Argv<DevnetArgs>,
  handler: (args) =>
    work("restart", args, async (stateDir, progress) => {
      const state = await readState(stateDir);
      if (state === null) return output(await startStopped(stateDir, progress));
      progress.say("restarting the nodes");
      await orderDevnet(state.control, "restart");
      return output((await readState(stateDir)) ?? state);
    }),
};

export const resetCommand: CommandModule<object, DevnetArgs> = {
  command: "reset",
  describe:
    "Empty this folder's devnet: databases, files, logs of tasks. Keys and, while it runs, addresses stay",
  builder: (yargs: Argv) =>
    yargs.options(commonOptions).example("$0 reset", "a running one goes on, empty") as Argv<DevnetArgs>,
  handler: (args) =>
    work("reset", args, async (stateDir, progress) => {
      const state = await readState(stateDir);
      if (state === null) {
        if (!(await isStateDir(stateDir))) throw neverUp(stateDir);
        const release = await claimDevnet(stateDir);
        await emptyStateDir(stateDir).finally(release);
        return { lines: ["emptied; it does not run"], data: { stateDir, running: false } };
      }
      progress.say("emptying the nodes");
      await orderDevnet(state.control, "reset");
      return { lines: ["emptied; it runs"], data: { stateDir, running: true } };
    }),
};

function work(
  command: string,
  args: DevnetArgs,
  run: (stateDir: string, progress: Progress) => Promise<Output>,
): Promise<void> {
  const progress = createProgress(process.stderr, {
    fancy: isFancy(process.stderr, process.env),
    quiet: args.quiet || args.json,
  });
  return report(command, args, async () => {
    try {
      return await run(resolve(args["state-dir"]), progress);
    } finally {
      progress.clear();
    }
  });
}

async function startStopped(stateDir: string, progress: Progress): Promise<DevnetState> {
  const last = await readLastUp(stateDir);
  if (last === null) throw neverUp(stateDir);
  // Its own folder, wherever this command was given.
  const words = [...againWords(last.words), `--state-dir=${stateDir}`];
  return startDetached({ stateDir, words, cwd: last.cwd, onProgress: progress.say });
}

/** What was said to `up`, without what must not happen again and the folder. */
function againWords(words: readonly string[]): string[] {
  const isValue = (at: number) => words[at - 1] === "--state-dir";
  return words.filter((word, at) => !/^--(fresh|state-dir)(=.*)?$/.test(word) && !isValue(at));
}

function output({ data, warnings }: DevnetState): Output {
  return { lines: [summary(data, [], null)], data, warnings };
}

function neverUp(stateDir: string): GevulotError {
  return new GevulotError(
    "DEVNET_NEVER_UP",
    `No devnet was ever started in ${stateDir}. Start one with: gevulot-devnet up`,
    { context: { stateDir } },
  );
}
