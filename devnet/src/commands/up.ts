import { resolve } from "node:path";
import { GevulotError, isGevulotError } from "gevulot-sdk";
import type { Argv, CommandModule, InferredOptionTypes } from "yargs";
import { createControl } from "../up/control.ts";
import { type Devnet, startDevnet } from "../up/devnet.ts";
import { describeDevnet, readState, removeState, writeState } from "../up/stateFile.ts";
import { startDetached } from "./detach.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "./envelope.ts";
import { EXIT_FAILURE, errorText } from "./reportError.ts";
import { runLine } from "./runLine.ts";
import { summary } from "./summary.ts";
import { untilSignal } from "./untilSignal.ts";
import { upOptions } from "./upOptions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_RUNNING: { stateDir: string; pid: number };
    DEVNET_BROKE: { reason: string };
    DEVNET_STOPPED: { signal: string };
  }
}

/** As a shell says it of a program that Ctrl-C ended. */
const EXIT_STOPPED = 130;

type UpArgs = InferredOptionTypes<typeof upOptions>;

export const upCommand: CommandModule<object, UpArgs> = {
  command: "up",
  describe: "Start PostgreSQL and nodes on this machine, and say where they listen",
  builder: (yargs: Argv) =>
    yargs
      .options(upOptions)
      .check((args) => {
        for (const name of ["task-deadline-seconds", "task-idle-seconds", "mem-gb", "num-cpus"]) {
          const value = args[name];
          if (value !== undefined && !(Number(value) > 0)) return `--${name} must be a number above 0.`;
        }
        for (const name of ["nodes", "provers", "verifiers", "attempts"]) {
          const value = args[name];
          const isCount = Number.isInteger(value) && Number(value) > 0;
          if (value !== undefined && !isCount) return `--${name} must be a whole number above 0.`;
        }
        if (args.join !== undefined && !/.:\d{1,5}$/.test(args.join))
          return "--join wants host:port, a node's address for peers.";
        return true;
      })
      .example("$0 up", "in the foreground, Ctrl-C stops it")
      .example("$0 up --detach --json", "for scripts") as Argv<UpArgs>,
  handler: async (args) => {
    try {
      await (args.detach ? upDetached(args) : upForeground(args));
    } catch (error) {
      if (args.json) printEnvelope(errorEnvelope("up", error));
      else process.stderr.write(`${errorText(error)}\n`);
      process.exitCode = isGevulotError(error, "DEVNET_STOPPED") ? EXIT_STOPPED : EXIT_FAILURE;
    }
  },
};

async function upForeground(args: UpArgs): Promise<void> {
  const stateDir = resolve(args["state-dir"]);
  await refuseSecond(stateDir);
  const say = (line: string): void => {
    if (!args.json) process.stdout.write(`${line}\n`);
  };
  const stop = new AbortController();
  const stopped = untilSignal().then((signal) => stop.abort(stoppedBy(signal)));
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
    stateDir,
    nodes: args.nodes,
    mode: args.execution,
    ...(args.provers && { provers: args.provers }),
    ...(args.verifiers && { verifiers: args.verifiers }),
    ...(args.attempts && { attempts: args.attempts }),
    ...(args.join && { join: args.join }),
    ...(args.passphrase && { passphrase: args.passphrase }),
    fresh: args.fresh,
    provider: args.provider,
    execution: !args["no-execution"],
    allowUnmountedImages: args["allow-unmounted-images"],
    defaultPorts: true,
    signal: stop.signal,
    ...(args["task-deadline-seconds"] && { taskDeadlineSeconds: args["task-deadline-seconds"] }),
    ...(args["task-idle-seconds"] && { taskIdleSeconds: args["task-idle-seconds"] }),
    ...(args["volumes-directory"] && { volumesDirectory: resolve(args["volumes-directory"]) }),
    ...(args["mem-gb"] && { memGb: args["mem-gb"] }),
    ...(args["num-cpus"] && { numCpus: args["num-cpus"] }),
    onProgress: (message) => say(`… ${message}`),
    onNodeLine: (line) => {
      const text = runLine(line);
      if (text !== null) say(text);
    },
    onExit: broke,
  }).catch((error: unknown) => {
    throw stop.signal.aborted ? stop.signal.reason : error;
  });
  await using control = await createControl(devnet, () => writeState(devnet, control.address));
  await writeState(devnet, control.address);
  try {
    announce(devnet, args, Date.now() - begun);
    await Promise.race([stopped, broken]);
    say("stopping…");
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
  if (args.json) printEnvelope(okEnvelope("up", describeDevnet(devnet), devnet.warnings));
  else process.stdout.write(`${summary(describeDevnet(devnet), devnet.warnings, startMs)}\n`);
}

async function upDetached(args: UpArgs): Promise<void> {
  const stateDir = resolve(args["state-dir"]);
  await refuseSecond(stateDir);
  const begun = Date.now();
  const state = await startDetached(stateDir, process.argv.slice(2));
  if (args.json) printEnvelope(okEnvelope("up", state.data, state.warnings));
  else process.stdout.write(`${summary(state.data, state.warnings, Date.now() - begun)}\n`);
}

async function refuseSecond(stateDir: string): Promise<void> {
  const state = await readState(stateDir);
  if (state === null) return;
  throw new GevulotError(
    "DEVNET_RUNNING",
    `A devnet runs here already (process ${state.pid}, RPC ${state.data.nodes[0]?.rpcUrl}). Use it, or stop it with: gevulot-devnet down`,
    { context: { stateDir, pid: state.pid } },
  );
}
