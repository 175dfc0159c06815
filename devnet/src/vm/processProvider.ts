import { access, constants, cp, realpath } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import type { Logger } from "pino";
import { createStack } from "../disposeStack.ts";
import { startOf } from "../processTable.ts";
import { removeTree } from "../removeTree.ts";
import { createConsoleSink } from "./consoleSink.ts";
import { keepExecOutput } from "./execOutput.ts";
import type { GuestMessage } from "./guestMessage.ts";
import { imageOutcome } from "./imageOutcome.ts";
import { type InspectOptions, inspectFlag, onInspector } from "./inspector.ts";
import { createLauncher, type Launcher } from "./launcher.ts";
import { measureTree, NO_LIMITS } from "./measureTree.ts";
import { type ProcessGroup, startProcessGroup } from "./processGroup.ts";
import type { VmOutcome, VmProvider, VmRunOptions, VmTask } from "./provider.ts";
import { endMarked } from "./reapLeftovers.ts";
import { formatRunMark, RUN_MARK_VARIABLE } from "./runMark.ts";
import { createRunRegistry } from "./runRegistry.ts";
import { createSupervisor, type Supervisor, timeLeft } from "./supervisor.ts";
import { endedBefore, type TaskSignals, taskSignals } from "./taskSignals.ts";
import type { ProcessEnd } from "./vmState.ts";
import { watchVm } from "./vmWatch.ts";

/** A program taken out of its image. */
export interface HostProgram {
  /** Its files, as they are under `/` in the image. */
  readonly dir: string;
  /** The file to run. */
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly kind: "js" | "elf";
  /** A host process can't have any. */
  readonly volumes?: readonly unknown[] | undefined;
}

export interface ProcessProviderDeps {
  readonly log: Logger;
  /** Of `image/`. Throws `IMAGE_INVALID` for a file that is no image. */
  readonly extractProgram: (options: {
    readonly imagePath: string;
    readonly cacheDir: string;
    readonly signal?: AbortSignal;
  }) => Promise<HostProgram>;
}

export interface ProcessProviderOptions {
  readonly cacheDir: string;
  /** Programs of Node.js are started for a debugger; its address is logged. */
  readonly inspect?: InspectOptions | undefined;
  readonly signal?: AbortSignal;
}

/** A VM's program gets nothing of the host's environment either. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * Runs programs as processes of this machine, for quick tests: no isolation, and memory, CPUs and GPUs are not
 * enforced, so that a program that asks for too much ends by a signal rather than as `outOfMemory`. The program finds
 * its workspace by `GEVULOT_WORKSPACE`.
 */
export async function createProcessProvider(
  deps: ProcessProviderDeps,
  options: ProcessProviderOptions,
): Promise<VmProvider & { readonly name: "process" }> {
  const launcher = await createLauncher(options);
  deps.log.warn("programs run as host processes: without a VM, and their memory is not limited");
  const runs = createRunRegistry();
  return {
    name: "process",
    accelerator: "none",
    vsock: { kind: "none", detail: "host processes have no VSOCK" },
    run: (task, how) =>
      runs.track(how.signal, (signal) =>
        runOnHost(deps, options, launcher, task, { ...how, ...taskSignals(task, signal) }),
      ),
    [Symbol.asyncDispose]: () => runs[Symbol.asyncDispose](),
  };
}

async function runOnHost(
  deps: ProcessProviderDeps,
  options: ProcessProviderOptions,
  launcher: Launcher,
  task: VmTask,
  how: VmRunOptions & TaskSignals,
): Promise<VmOutcome> {
  const { signal, either, onEvent } = how;
  let program: HostProgram;
  try {
    either.throwIfAborted();
    const { imagePath } = task;
    program = await deps.extractProgram({ imagePath, cacheDir: options.cacheDir, signal: either });
  } catch (error) {
    return endedBefore(how) ?? imageOutcome(error);
  }
  const lacking = lackingOnHost(program, task);
  if (lacking !== null) return { kind: "unavailable", reason: lacking };
  await using stack = createStack();
  const sink = await createConsoleSink({ path: task.consolePath, limitBytes: task.consoleLimitBytes });
  stack.defer(async () => void (await sink.close()));
  const workspaceDir = await realpath(task.workspaceDir);
  const output = task.exec && stack.use(await keepExecOutput(workspaceDir, task.exec.keepStdoutBytes));
  const before = await measureTree(workspaceDir, NO_LIMITS);
  const ownDir = `${workspaceDir}.root`;
  stack.defer(() => removeTree(ownDir));
  let group: ProcessGroup;
  const mark = markOf(task, workspaceDir);
  stack.defer(() => endMarked(mark));
  try {
    program = await copyProgram(program, ownDir, either);
    const flags = options.inspect && program.kind === "js" ? [await inspectFlag(options.inspect)] : [];
    group = await startProgram(launcher, withTaskArgs(program, task, workspaceDir), flags, {
      cwd: program.dir,
      env: environmentOf(program, mark, workspaceDir),
    });
  } catch (error) {
    const reason = `the program can't be started: ${(error as Error).message}.`;
    return endedBefore(how) ?? { kind: "bootFailed", reason };
  }
  stack.defer(() => group.stop());
  if (options.inspect) announceInspector(deps.log, group, task);
  output?.of(group.child);
  for (const stream of [group.child.stdout, group.child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      sink.write(chunk);
      how.onConsole?.(chunk);
    });
  }
  using supervisor = createSupervisor({
    deadlineMs: Math.min(task.deadlineMs, timeLeft(task.runEndsAtMs)),
    signal,
    ...(onEvent && { onEvent }),
    evidence: () => ({ console: sink.tail(), stderr: "" }),
  });
  supervisor.started(group.pid, "none");
  supervisor.feed({ kind: "guest", message: { kind: "program" } });
  const onLimit = (outcome: VmOutcome): void => supervisor.feed({ kind: "limit", outcome });
  using _watch = watchVm({
    task,
    pid: group.pid,
    before,
    consoleBytes: () => sink.totalBytes,
    onLimit,
    onPeakMemory: how.onPeakMemory,
  });
  group.ended.then((end) => feedEnd(supervisor, end));
  return await supervisor.outcome;
}

/** A process has no last word but its end. */
function feedEnd(supervisor: Supervisor, { pid, exitCode, signal }: ProcessEnd): void {
  const message: GuestMessage =
    signal === null ? { kind: "exited", exitCode: exitCode ?? 0 } : { kind: "signalled", signal };
  supervisor.feed({ kind: "guest", message });
  supervisor.feed({ kind: "gone", end: { pid, exitCode: 0, signal: null } });
}

async function startProgram(
  launcher: Launcher,
  program: HostProgram,
  flags: readonly string[],
  place: { readonly cwd: string; readonly env: Record<string, string> },
): Promise<ProcessGroup> {
  // What starts it would tell its absence by an exit code, as if the program had ended.
  await access(program.program, program.kind === "elf" ? constants.X_OK : constants.R_OK);
  const how = { runAs: null, noNewPrivileges: false };
  const [command, args] = launcher.wrap(...commandOf(program, flags), how);
  return startProcessGroup(command, args, { stdio: ["ignore", "pipe", "pipe"], ...place });
}

function announceInspector(log: Logger, { child }: ProcessGroup, { attemptId }: VmTask): void {
  if (child.stderr === null) return;
  onInspector(child.stderr, (inspector) =>
    log.info({ attempt: attemptId, inspector }, "a debugger can attach to the program"),
  );
}

/** What a task needs that only a VM has, in words; null where it needs nothing of the kind. */
function lackingOnHost(program: HostProgram, task: VmTask): string | null {
  const advice = "Run the program in a virtual machine (--provider qemu)";
  if (task.volumes?.length || program.volumes?.length)
    return `A host process can't mount volumes. ${advice}.`;
  return task.trace ? `A host process can't be traced here. ${advice}, or under strace.` : null;
}

/** A path in the workspace becomes the real one: here it is not at `/workspace`. */
function withTaskArgs(program: HostProgram, task: VmTask, workspaceDir: string): HostProgram {
  if (!task.exec) return program;
  const args = task.exec.args.map((arg) => arg.replace(/^\/workspace(?=\/|$)/, () => workspaceDir));
  return { ...program, args };
}

function commandOf(
  { kind, program, args }: HostProgram,
  flags: readonly string[],
): [string, readonly string[]] {
  return kind === "js" ? [process.execPath, [...flags, program, ...args]] : [program, args];
}

function environmentOf(program: HostProgram, mark: string, workspaceDir: string): Record<string, string> {
  return {
    PATH,
    HOME: workspaceDir,
    ...program.env,
    GEVULOT_WORKSPACE: workspaceDir,
    [RUN_MARK_VARIABLE]: mark,
  };
}

function markOf({ attemptId }: VmTask, workspaceDir: string): string {
  const ownerStart = startOf(process.pid) ?? "";
  return formatRunMark({ attemptId, ownerPid: process.pid, ownerStart, workspaceDir });
}

/** In a VM, too, what a program writes beside itself is there for this task alone. */
async function copyProgram(program: HostProgram, dir: string, signal: AbortSignal): Promise<HostProgram> {
  await cp(program.dir, dir, {
    recursive: true,
    verbatimSymlinks: true,
    mode: constants.COPYFILE_FICLONE,
    filter: () => {
      signal.throwIfAborted();
      return true;
    },
  });
  const path = relative(program.dir, program.program);
  const isOutside = isAbsolute(path) || path.split(sep)[0] === "..";
  return { ...program, dir, program: isOutside ? program.program : join(dir, path) };
}
