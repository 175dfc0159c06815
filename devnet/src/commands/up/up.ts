import { homedir } from "node:os";
import { GevulotError, isGevulotError } from "gevulot-sdk";
import type { Argv, CommandModule } from "yargs";
import { devnetRunning } from "../../up/claimDevnet.ts";
import { createControl } from "../../up/control.ts";
import { type Devnet, startDevnet } from "../../up/devnet.ts";
import { writeLastUp } from "../../up/lastUp.ts";
import { registerDevnet } from "../../up/registry.ts";
import { describeDevnet, readState, removeState, writeState } from "../../up/stateFile.ts";
import { runLine } from "../runLine.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import { EXIT_FAILURE, errorText } from "../terminal/reportError.ts";
import { createProgress, isFancy, type Progress } from "../terminal/terminal.ts";
import { untilSignal } from "../terminal/untilSignal.ts";
import { startDetached } from "./detach.ts";
import { openGateway } from "./openGateway.ts";
import { registryDir } from "./registryDir.ts";
import { summary } from "./summary.ts";
import { checkUpOptions, upOptions } from "./upOptions.ts";
import { readUpSettings, type UpArgs, type UpSettings } from "./upSettings.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_BROKE: { reason: string };
    DEVNET_STOPPED: { signal: string };
  }
}

/** As a shell says it of a program that Ctrl-C ended. */
const EXIT_STOPPED = 130;

export const upCommand: CommandModule<object, UpArgs> = {
  command: "up",
  describe: "Start PostgreSQL and nodes on this machine, and say where they listen",
  builder: (yargs: Argv) =>
    yargs
      .options(upOptions)
      .check(checkUpOptions)
      .example("$0 up", "in the foreground, Ctrl-C stops it")
      .example("$0 up --detach --json", "for scripts")
      .example("$0 up --nodes 1 --provider process", "quick, for tests of programs") as Argv<UpArgs>,
  // Not waited for by yargs, which would make up its help first.
  handler: (args) => void up(args),
};

async function up(args: UpArgs): Promise<void> {
  const progress = createProgress(process.stdout, {
    fancy: isFancy(process.stdout, process.env),
    quiet: args.json || args.quiet,
  });
  try {
    if (args.docker) return await (await import("./upDocker.ts")).upDocker(args, progress.say);
    const settings = await readUpSettings(args);
    await refuseSecond(settings.stateDir);
    await (args.detach ? upDetached(args, settings, progress) : upForeground(args, settings, progress));
  } catch (error) {
    progress.clear();
    if (args.json) printEnvelope(errorEnvelope("up", error));
    else process.stderr.write(`${errorText(error)}\n`);
    process.exitCode = isGevulotError(error, "DEVNET_STOPPED") ? EXIT_STOPPED : EXIT_FAILURE;
  }
}

async function upForeground(args: UpArgs, settings: UpSettings, progress: Progress): Promise<void> {
  const stop = new AbortController();
  const stopped = untilSignal().then((signal) => stop.abort(stoppedBy(signal)));
  // Who waits for a start in the background and is gone, doesn't want it any more.
  const abandon = () => stop.abort(stoppedBy("the end of the command that started it"));
  process.once("disconnect", abandon);
  // The channel to it must not keep this process.
  process.channel?.unref();
  let broke: (reason: string) => void = () => {};
  const broken = new Promise<never>((_, reject) => {
    broke = (reason) =>
      reject(
        new GevulotError("DEVNET_BROKE", `A part of the devnet ended: ${reason}`, { context: { reason } }),
      );
  });
  broken.catch(() => {});

  const begun = Date.now();
  await using devnet = await startDevnet({
    ...settings,
    signal: stop.signal,
    onProgress: progress.say,
    onNodeLine: (line) => {
      const text = runLine(line);
      if (text !== null) progress.line(text);
    },
    onExit: broke,
  }).catch((error: unknown) => {
    throw stop.signal.aborted ? stop.signal.reason : error;
  });
  process.off("disconnect", abandon);
  await using _gateway = await openGateway(devnet, args);
  await using control = await createControl(devnet, () => writeState(devnet, control.address));
  await writeState(devnet, control.address);
  try {
    await writeLastUp(devnet.stateDir, { words: process.argv.slice(2), cwd: process.cwd() });
    await registerDevnet(registryDir(process.env, homedir()), devnet.stateDir);
    progress.clear();
    announce(devnet, args, Date.now() - begun);
    await Promise.race([stopped, broken]);
    progress.line("stopping…");
  } finally {
    await removeState(devnet.stateDir);
  }
}

function stoppedBy(signal: string): GevulotError {
  return new GevulotError("DEVNET_STOPPED", `Stopped by ${signal} before the network was ready.`, {
    context: { signal },
  });
}

function announce(devnet: Devnet, args: UpArgs, startMs: number): void {
  process.send?.({ type: "up" });
  if (process.connected) process.disconnect();
  const data = describeDevnet(devnet);
  if (args.json) printEnvelope(okEnvelope("up", data, devnet.warnings));
  else if (!args.quiet) process.stdout.write(`${summary(data, devnet.warnings, startMs)}\n`);
}

async function upDetached(args: UpArgs, settings: UpSettings, progress: Progress): Promise<void> {
  const { stateDir } = settings;
  const begun = Date.now();
  const state = await startDetached({
    stateDir,
    words: process.argv.slice(2),
    cwd: process.cwd(),
    onProgress: progress.say,
  });
  progress.clear();
  if (args.json) printEnvelope(okEnvelope("up", state.data, state.warnings));
  else if (!args.quiet) process.stdout.write(`${summary(state.data, state.warnings, Date.now() - begun)}\n`);
}

async function refuseSecond(stateDir: string): Promise<void> {
  const state = await readState(stateDir);
  if (state !== null) throw devnetRunning(stateDir, state.pid, state.data.nodes[0]?.rpcUrl);
}
