import { open, realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { Logger } from "pino";
import { createStack, type DisposeStack } from "../disposeStack.ts";
import { mountsOfTask } from "../image/deployedVolumes.ts";
import type { VolumeMount } from "../image/manifestMounts.ts";
import type { NanosBoot } from "../image/nanos/nanosBoot.ts";
import { startOf } from "../processTable.ts";
import { type Cgroups, createCgroups, findCgroup, laterGroup } from "./cgroups.ts";
import { createEarlyBoot } from "./earlyBoot.ts";
import { findQemu, type Qemu } from "./findQemu.ts";
import { canReadAttributes } from "./guestFile.ts";
import { imageOutcome } from "./imageOutcome.ts";
import { openForChild } from "./inheritedFiles.ts";
import { createLauncher, type Launcher, type RunAs } from "./launcher.ts";
import { measureTree, NO_LIMITS, type TreeSize } from "./measureTree.ts";
import { nanosArgs } from "./nanosArgs.ts";
import { endWhenSubmitted, nanosOutcome, withResult } from "./nanosOutcome.ts";
import { type Accelerator, probeAccelerator } from "./probeAccelerator.ts";
import type { VmOutcome, VmProvider, VmRunOptions, VmTask } from "./provider.ts";
import { MIN_GUEST_MIB, qemuArgs } from "./qemuArgs.ts";
import { type QemuProcess, startQemu } from "./qemuProcess.ts";
import { formatRunMark } from "./runMark.ts";
import { createRunRegistry } from "./runRegistry.ts";
import { createSupervisor, timeLeft } from "./supervisor.ts";
import { endedBefore, type TaskSignals, taskSignals } from "./taskSignals.ts";
import { traceCmdline } from "./trace.ts";
import { watchVm } from "./vmWatch.ts";
import type { GuestVolumes } from "./volumes/guestVolumes.ts";
import { createMountsReader } from "./volumes/imageMounts.ts";
import { takeVolumes } from "./volumes/taskVolumes.ts";
import { createVolumeStore, DEFAULT_VOLUMES_DIR } from "./volumes/volumeStore.ts";
import { createVolumeTurns } from "./volumes/volumeTurns.ts";
import { createVsockHost, type VsockOptions } from "./vsock/createVsockHost.ts";
import { lacksVsock, openTaskVsock } from "./vsock/openTaskVsock.ts";
import type { VsockDevice, VsockHost } from "./vsock/vsockHost.ts";
import { giveTo, shareSecurityModel } from "./workspaceShare.ts";

/** What an image has to give for a direct start. */
export interface BootFiles {
  /** Uncompressed ELF. */
  readonly vmlinuxPath: string;
  readonly initrdPath: string;
  /** The root file system's place in the image, in bytes. */
  readonly rootOffset: number;
  readonly rootLength: number;
  readonly cmdline: string;
  /** The program takes its task over VSOCK alone. */
  readonly needsVsock?: boolean;
  /** What the image says of its program. */
  readonly info?: { readonly program: { readonly volumes?: readonly VolumeMount[] | undefined } };
}

export interface QemuProviderDeps {
  readonly log: Logger;
  /** Of `image/`. Throws `IMAGE_INVALID` for a file that is no image. */
  readonly prepareBoot: (options: {
    readonly imagePath: string;
    readonly cacheDir: string;
    readonly signal?: AbortSignal;
  }) => Promise<BootFiles>;
  /** Of `image/`. Null for what is no Nanos disk. Without it, there are none. */
  readonly readNanosBoot?: (imagePath: string) => Promise<NanosBoot | null>;
  /** Where not the system's own. */
  readonly cgroups?: Cgroups;
}

export interface QemuProviderOptions {
  readonly qemuPath: string;
  readonly cacheDir: string;
  /**
   * For the guest to start its program. Default 60,000, twenty times what it takes without KVM on a quiet machine, and a
   * second for each GiB, which the host may have to find and to clear for a GPU.
   */
  readonly bootLimitMs?: number | undefined;
  /** As root, run QEMU as a user without rights. Default true. */
  readonly dropPrivileges?: boolean;
  /** For volumes that others use. Default: the task's deadline. */
  readonly volumeWaitMs?: number;
  /** Folder of the volumes. Default: the user's own. */
  readonly volumesDir?: string | undefined;
  /** The programs are the user's own, and write to any volume. Default false: only to those made for it. */
  readonly ownPrograms?: boolean;
  readonly vsock?: VsockOptions;
  readonly signal?: AbortSignal;
}

export interface QemuProvider extends VmProvider {
  readonly name: "qemu";
  readonly qemuVersion: string;
  /** Why it is not KVM; null where it is. */
  readonly acceleratorReason: string | null;
}

const BOOT_LIMIT_MS = 60_000;
const BOOT_LIMIT_MS_PER_GIB = 1_000;
/** Of QEMU itself, and of the host's cache for it; without KVM there is translated code too. */
const OVERHEAD_MIB = { kvm: 512, tcg: 1_536 } as const;
/** What the guest's memory holds for a volume has to get to a slow disk of the host. */
const VOLUME_LEAVE_LIMIT_MS = 10 * 60_000;
const MIB = 2 ** 20;

interface Host {
  readonly qemu: Qemu;
  readonly launcher: Launcher;
  readonly accelerator: Accelerator;
  readonly vsock: VsockHost;
  /** Found out before a task waits for it. */
  readonly canReadAttributes: boolean;
  /** Or why the host does not limit what QEMU takes. */
  readonly cgroups: Cgroups | string;
}

/**
 * Runs tasks in QEMU VMs. Ended and disposed of, it leaves no process; if this process is killed, the kernel kills
 * its VMs where util-linux's setpriv exists, and `reapLeftovers` finds them elsewhere.
 *
 * @throws GevulotError `QEMU_NOT_FOUND`, `QEMU_UNUSABLE`
 */
export async function createQemuProvider(
  deps: QemuProviderDeps,
  options: QemuProviderOptions,
): Promise<QemuProvider> {
  const qemu = await findQemu(options);
  const launcher = await createLauncher(options);
  const accelerator = await probeAccelerator(options, { qemu, launcher });
  const runAs = options.dropPrivileges === false ? null : accelerator.runAs;
  const vsock = await createVsockHost({ log: deps.log, launcher, runAs }, options.vsock);
  const cgroups = deps.cgroups ?? (await createCgroups(await findCgroup()));
  const host: Host = {
    qemu,
    launcher,
    accelerator: { ...accelerator, runAs },
    vsock,
    canReadAttributes: canReadAttributes(),
    cgroups,
  };
  announce(deps.log, host);
  const runs = createRunRegistry();
  const early = createEarlyBoot((imagePath) =>
    runs.track(undefined, (signal) => readBoot(deps, options, imagePath, signal)),
  );
  const store = createVolumeStore({ folder: options.volumesDir ?? DEFAULT_VOLUMES_DIR });
  const turns = createVolumeTurns(store);
  const mountsOf = createMountsReader(deps.readNanosBoot);
  return {
    name: "qemu",
    accelerator: accelerator.name,
    vsock: { kind: vsock.kind, detail: vsock.detail },
    qemuVersion: qemu.versionText,
    acceleratorReason: accelerator.reason,
    run: (task, how) =>
      runs.track(how.signal, async (signal) => {
        const signals = taskSignals(task, signal);
        await early.settled(task.imagePath, signals.either);
        return await runInQemu(deps, options, host, task, { ...how, ...signals });
      }),
    prepare: early.begin,
    takeTurn: async ({ id, imagePath, volumes }) =>
      turns.take(mountsOfTask(await mountsOf(imagePath), volumes), id),
    async [Symbol.asyncDispose]() {
      await runs[Symbol.asyncDispose]();
      await vsock[Symbol.asyncDispose]();
      if (typeof cgroups !== "string") await cgroups[Symbol.asyncDispose]();
    },
  };
}

function announce(log: Logger, { qemu, launcher, accelerator, cgroups }: Host): void {
  const facts = { qemu: qemu.versionText, accelerator: accelerator.name };
  if (accelerator.reason === null) log.info(facts, "VMs run under KVM");
  else log.warn({ ...facts, reason: accelerator.reason }, "VMs run without KVM, about ten times slower");
  if (typeof cgroups === "string") {
    log.info({ reason: cgroups }, "what QEMU takes beyond its guest's memory and processors is not limited");
  }
  if (!launcher.endsWithParent)
    log.warn("without util-linux's setpriv, VMs outlive a killed node until it is started again");
}

async function readBoot(
  deps: QemuProviderDeps,
  { cacheDir }: QemuProviderOptions,
  imagePath: string,
  signal: AbortSignal,
): Promise<BootFiles | NanosBoot> {
  return (await deps.readNanosBoot?.(imagePath)) ?? (await deps.prepareBoot({ imagePath, cacheDir, signal }));
}

async function runInQemu(
  deps: QemuProviderDeps,
  options: QemuProviderOptions,
  host: Host,
  task: VmTask,
  how: VmRunOptions & TaskSignals,
): Promise<VmOutcome> {
  let boot: BootFiles | NanosBoot;
  try {
    how.either.throwIfAborted();
    boot = await readBoot(deps, options, task.imagePath, how.either);
  } catch (error) {
    return endedBefore(how) ?? imageOutcome(error);
  }
  if ("kind" in boot && boot.problem !== null) {
    deps.log.warn({ attempt: task.attemptId, reason: boot.problem }, "an image's program will find no task");
  }
  return runBooted(deps, options, host, task, { ...how, boot });
}

async function runBooted(
  deps: QemuProviderDeps,
  options: QemuProviderOptions,
  host: Host,
  task: VmTask,
  how: VmRunOptions & TaskSignals & { readonly boot: BootFiles | NanosBoot },
): Promise<VmOutcome> {
  const { signal, either, boot, onEvent } = how;
  await using stack = createStack();
  const limit = laterGroup(stack, host.cgroups);
  const mark = await markOf(task);
  const vsock = await openTaskVsock(stack, deps.log, host.vsock, { ...task, mark, signal: either });
  const lack = vsock.device === null ? await vsockLack(boot, lacksVsock(vsock), how) : null;
  if (lack !== null) return lack;
  const volumesDir = options.volumesDir ?? DEFAULT_VOLUMES_DIR;
  const volumes = await takeVolumes(stack, task, {
    ...options,
    volumeWaitMs: options.volumeWaitMs ?? Math.min(task.deadlineMs, timeLeft(task.runEndsAtMs)),
    store: createVolumeStore({ folder: volumesDir }),
    mounts: boot.info?.program.volumes ?? [],
    format: "kind" in boot ? "nanos" : "linux",
    signal,
    onWait: (reason) => deps.log.info({ attempt: task.attemptId, reason }, "a task waits for a volume"),
  });
  if ("kind" in volumes) return volumes;
  const isWriting = volumes.disks.some((disk) => !disk.readonly);
  const before = await measureTree(task.workspaceDir, NO_LIMITS);
  const vm = await spawnVm(stack, host, task, boot, {
    ...{ mark, vsock: vsock.device, volumes, before, limit },
    onConsole: how.onConsole,
  });
  using supervisor = createSupervisor({
    deadlineMs: Math.min(task.deadlineMs, timeLeft(task.runEndsAtMs)),
    // Nanos does not say when it has booted.
    ...("kind" in boot ? {} : { bootLimitMs: bootLimit(options, task) }),
    ...(isWriting ? { leaveLimitMs: VOLUME_LEAVE_LIMIT_MS } : {}),
    signal,
    ...(onEvent && { onEvent }),
    evidence: vm.evidence,
  });
  supervisor.started(vm.pid, vsock.device === null ? "none" : host.vsock.kind);
  const onLimit = (outcome: VmOutcome): void => supervisor.feed({ kind: "limit", outcome });
  if ("kind" in boot) {
    supervisor.feed({ kind: "guest", message: { kind: "program" } });
    vm.ended.then((end) => onLimit(nanosOutcome(end, vm.shutdownReason(), vm.evidence())));
    const leaving = endWhenSubmitted(task.exchange, onLimit);
    stack.defer(() => leaving[Symbol.dispose]());
  } else {
    vm.listen((message) => supervisor.feed({ kind: "guest", message }));
    vm.ended.then((end) => supervisor.feed({ kind: "gone", end }));
  }
  using _watch = watchVm({
    task,
    pid: vm.pid,
    before,
    volumePaths: isWriting ? [volumesDir] : [],
    consoleBytes: vm.consoleBytes,
    onLimit,
    onPeakMemory: how.onPeakMemory,
  });
  const outcome = await supervisor.outcome;
  return "kind" in boot ? withResult(outcome) : outcome;
}

function bootLimit({ bootLimitMs }: QemuProviderOptions, { memMib }: VmTask): number {
  return bootLimitMs ?? BOOT_LIMIT_MS + Math.ceil(memMib / 1_024) * BOOT_LIMIT_MS_PER_GIB;
}

/** Of an image whose program takes tasks over VSOCK alone, where there is none; null of others. */
async function vsockLack(
  boot: BootFiles | NanosBoot,
  reason: string,
  how: TaskSignals,
): Promise<VmOutcome | null> {
  try {
    // What called the task off may be what kept VSOCK from it.
    how.either.throwIfAborted();
    const needsVsock = boot.needsVsock === true || ("kind" in boot && (await boot.isVsockOnly(how.either)));
    return needsVsock ? { kind: "bootFailed", reason } : null;
  } catch (error) {
    return endedBefore(how) ?? imageOutcome(error);
  }
}

async function markOf(task: VmTask): Promise<string> {
  return formatRunMark({
    attemptId: task.attemptId,
    ownerPid: process.pid,
    ownerStart: startOf(process.pid) ?? "",
    workspaceDir: await realpath(task.workspaceDir),
  });
}

/** Starts the VM; with the stack it is stopped, and its console completed. */
async function spawnVm(
  stack: DisposeStack,
  host: Host,
  task: VmTask,
  boot: BootFiles | NanosBoot,
  parts: VmParts,
): Promise<QemuProcess> {
  const { vsock, volumes } = parts;
  const { qemu, launcher, accelerator } = host;
  const workspaceDir = await realpath(task.workspaceDir);
  // A device of the host needs rights that nobody has.
  const runAs = task.gpuDevices.length > 0 ? null : accelerator.runAs;
  const kernel = "kind" in boot ? [] : [boot.vmlinuxPath, boot.initrdPath];
  const image = stack.use(await open(task.imagePath));
  const files = await reach(stack, runAs, [workspaceDir, ...kernel]);
  const [sharePath = "", vmlinuxPath = "", initrdPath = ""] = files.paths;
  if (runAs !== null) await giveTo(workspaceDir, runAs);
  const machine = {
    name: parts.mark,
    accelerator: accelerator.name,
    version: qemu.version,
    sandbox: qemu.sandbox,
    memMib: task.memMib,
    cpus: task.cpus,
    workspace: {
      path: sharePath,
      securityModel: await shareSecurityModel(workspaceDir, host.canReadAttributes),
    },
    gpuDevices: task.gpuDevices,
    volumes: volumes.disks.map((disk, index) => ({
      fd: FIRST_FILE_FD + files.fds.length + index,
      readonly: disk.readonly,
    })),
    vsock: vsock && {
      ...vsock.device,
      inheritedAs: FIRST_FILE_FD + files.fds.length + volumes.disks.length,
    },
    fds: QEMU_FDS,
  };
  const args =
    "kind" in boot
      ? nanosArgs({ ...machine, imageFd: IMAGE_FD })
      : qemuArgs({
          ...machine,
          vmlinuxPath,
          initrdPath,
          cmdline: boot.cmdline + volumes.cmdline + (task.trace ? traceCmdline : ""),
          root: { fd: IMAGE_FD, offsetBytes: boot.rootOffset, lengthBytes: boot.rootLength },
        });
  const maxFileBytes = maxFileOf(task, parts);
  const command = launcher.wrap(qemu.path, args, { runAs, noNewPrivileges: true, maxFileBytes });
  const inheritedFds = [
    image.fd,
    ...files.fds,
    ...volumes.disks.map(({ fd }) => fd),
    ...(vsock?.device.kind === "vhost" ? [vsock.device.fd] : []),
  ];
  const vm = stack.use(await startQemu(command, { task, inheritedFds, onConsole: parts.onConsole }));
  await parts.limit(task.attemptId, [vm.pid, ...(vsock?.pid === undefined ? [] : [vsock.pid])], {
    memoryBytes: (Math.max(task.memMib, MIN_GUEST_MIB) + OVERHEAD_MIB[accelerator.name]) * MIB,
    // One for QEMU's own work: disks, the workspace, the console.
    cpus: task.cpus + 1,
  });
  return vm;
}

interface VmParts {
  readonly mark: string;
  readonly limit: ReturnType<typeof laterGroup>;
  readonly vsock: VsockDevice | null;
  readonly volumes: GuestVolumes;
  readonly before: TreeSize;
  readonly onConsole: VmRunOptions["onConsole"];
}

/** Also a sparse file ends there. The guest's memory and its volumes are files of QEMU too. */
function maxFileOf(task: VmTask, { volumes, before }: VmParts): number | undefined {
  if (task.maxOutputBytes === undefined) return undefined;
  const largest = [task.memMib * MIB, ...volumes.disks.map(({ sizeBytes }) => sizeBytes)];
  return Math.max(before.bytes + task.maxOutputBytes, MIN_GUEST_MIB * MIB, ...largest);
}

/** The child's numbers of its three sockets; files that it inherits come after them. */
const QEMU_FDS = { console: 3, control: 4, qmp: 5 } as const;
const IMAGE_FD = 6;
const FIRST_FILE_FD = 7;

async function reach(
  stack: DisposeStack,
  runAs: RunAs | null,
  paths: readonly string[],
): Promise<{ readonly fds: readonly number[]; readonly paths: readonly string[] }> {
  if (runAs === null) return { fds: [], paths: paths.map((path) => resolve(path)) };
  return stack.use(await openForChild(paths, FIRST_FILE_FD));
}
