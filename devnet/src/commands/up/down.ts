import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import type { Argv, CommandModule } from "yargs";
import type { Owner } from "../../claimFolder.ts";
import { commandOf, startOf } from "../../processTable.ts";
import { devnetOwner, devnetRunning } from "../../up/claimDevnet.ts";
import { lastLineOf } from "../../up/lastLine.ts";
import { listDevnets } from "../../up/registry.ts";
import { sayWait } from "../../up/sayWait.ts";
import { readState } from "../../up/stateFile.ts";
import { report } from "../terminal/report.ts";
import { createProgress, isFancy } from "../terminal/terminal.ts";
import { registryDir } from "./registryDir.ts";
import type { DevnetArgs } from "./requireDevnet.ts";
import { commonOptions } from "./upOptions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_WONT_STOP: { pid: number };
  }
}

const STOP_TIMEOUT_MS = 30_000;
const POLL_MS = 20;

type DownArgs = DevnetArgs & { readonly all: boolean; readonly docker: boolean };

export const downCommand: CommandModule<object, DownArgs> = {
  command: ["down", "stop"],
  describe: "Stop this folder's devnet; its state stays, and `start` takes it up again",
  builder: (yargs: Argv) =>
    yargs
      .options(commonOptions)
      .option("docker", { type: "boolean", default: false, describe: "The one of `up --docker`" })
      .option("all", { type: "boolean", default: false, describe: "All devnets of `ls`" })
      .example("$0 down", "")
      .example("$0 down --all", "also those of other folders") as unknown as Argv<DownArgs>,
  handler: (args) =>
    report("down", args, async () => {
      if (args.docker) return (await import("./upDocker.ts")).downDocker(args);
      const progress = createProgress(process.stderr, {
        fancy: isFancy(process.stderr, process.env),
        quiet: args.quiet || args.json,
      });
      const registry = registryDir(process.env, homedir());
      const stateDirs = args.all
        ? (await listDevnets(registry)).flatMap(({ running, stateDir }) => (running ? [stateDir] : []))
        : [resolve(args["state-dir"])];
      const stopped: string[] = [];
      for (const stateDir of stateDirs) {
        if (await stopDevnet(stateDir, progress.say)) stopped.push(stateDir);
      }
      progress.clear();
      const data = { stopped: stopped.length > 0, ...(args.all && { stateDirs: stopped }) };
      if (stopped.length === 0)
        return { lines: [`no devnet runs ${args.all ? "on this machine" : "here"}`], data };
      return { lines: args.all ? stopped.map((stateDir) => `stopped ${stateDir}`) : ["stopped"], data };
    }),
};

/**
 * Stops the devnet of a folder, also one that is still starting.
 *
 * @returns false where none runs
 * @throws GevulotError `DEVNET_WONT_STOP`, and `DEVNET_RUNNING` for one that another program started for itself
 */
async function stopDevnet(stateDir: string, onProgress?: (message: string) => void): Promise<boolean> {
  const owner = await devnetOwner(stateDir);
  if (owner === null) return false;
  const isOurs = (await readState(stateDir)) !== null || /gevulot-devnet/.test(await commandOf(owner.pid));
  if (!isOurs) throw devnetRunning(stateDir, owner.pid);
  const isThere = () => startOf(owner.pid) === owner.startTime;
  if (isThere()) process.kill(owner.pid, "SIGTERM");
  const giveUpAt = Date.now() + STOP_TIMEOUT_MS;
  const wait = async (): Promise<void> => {
    while (isThere()) {
      if (Date.now() > giveUpAt) throw wontStop(owner, stateDir);
      await delay(POLL_MS);
    }
  };
  await sayWait(wait(), {
    what: `process ${owner.pid} to stop`,
    lastLine: () => lastLineOf(join(stateDir, "up.log")),
    onProgress,
  });
  return true;
}

function wontStop({ pid }: Owner, stateDir: string): GevulotError {
  const last = lastLineOf(join(stateDir, "up.log"));
  return new GevulotError(
    "DEVNET_WONT_STOP",
    `Process ${pid} did not stop within ${STOP_TIMEOUT_MS / 1_000} s; it said last: ${last || "nothing"}. End it with: kill -9 ${pid}`,
    { context: { pid } },
  );
}
