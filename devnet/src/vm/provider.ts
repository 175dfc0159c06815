import type { VolumeMount } from "../image/manifestMounts.ts";
import type { TaskExchange } from "./vsock/taskExchange.ts";
import type { VsockKind } from "./vsock/vsockHost.ts";

/**
 * What runs a task: a QEMU virtual machine, or a host process for quick tests. A provider knows nothing of
 * transactions: it gets an image and a workspace folder, and says how the program ended. What the program left in
 * the workspace is read by `result/`.
 */
export interface VmProvider extends AsyncDisposable {
  readonly name: "qemu" | "process";
  readonly accelerator: "kvm" | "tcg" | "none";
  /** How programs reach the node over VSOCK; `none`: only by files. */
  readonly vsock: { readonly kind: VsockKind; readonly detail: string };
  /** Runs one task to its end. Rejects only for our own bugs and broken set-ups: a VM that fails is an outcome. */
  run(task: VmTask, options: VmRunOptions): Promise<VmOutcome>;
  /**
   * Tasks that need the same thing alone, such as a volume to write, run one after the other. Rejects never.
   * @returns gives the turn back, or says what the task waits for.
   */
  takeTurn?(
    task: Pick<VmTask, "imagePath" | "volumes"> & { readonly id: string },
  ): Promise<string | (() => void)>;
  /** An image has come: what its first task would wait for can be done now. Never rejects. */
  prepare?(imagePath: string): Promise<void>;
}

export interface VmTask {
  /** Names the attempt; appears in QEMU's `-name`, so that a leftover process can be told. */
  readonly attemptId: string;
  /** A disk image made by `image build`. */
  readonly imagePath: string;
  /** BLAKE3 of the image file, by which what is taken out of it is cached. */
  readonly imageChecksum: string;
  /** The task for who asks for it over VSOCK, and then its result. */
  readonly exchange?: TaskExchange;
  /** Host folder shown to the program as its workspace. Holds `task.json` before the start. */
  readonly workspaceDir: string;
  readonly memMib: number;
  readonly cpus: number;
  /** PCI addresses. */
  readonly gpuDevices: readonly string[];
  /** The console is written here, at most `consoleLimitBytes`: the head, a mark, and the tail. */
  readonly consolePath: string;
  readonly consoleLimitBytes: number;
  /** From the start of the VM to the end of the program. */
  readonly deadlineMs: number;
  /** Of `performance.now()`: nothing of it may take longer, what comes before the VM's start neither. */
  readonly runEndsAtMs?: number | undefined;
  /** Without console output and with idle processors for so long, it is ended. Default: never. */
  readonly idleLimitMs?: number | undefined;
  /** What the program may put into its workspace, besides what was there. Default: no limit. */
  readonly maxOutputBytes?: number;
  readonly maxOutputFiles?: number;
  /** Volumes besides those that the image names, or instead of one at the same path. */
  readonly volumes?: readonly VolumeMount[];
  /** Leaves the guest's kernel log, system calls and file accesses in the workspace's `TRACE_FILE`. */
  readonly trace?: boolean;
  /** Set by `withExec`, for a program that knows nothing of tasks. */
  readonly exec?: {
    /** All of the program's arguments. A VM's init finds them in the workspace. */
    readonly args: readonly string[];
    /** Of its standard output, for the proof; null where the proof is a file. */
    readonly keepStdoutBytes: number | null;
  };
}

export interface VmRunOptions {
  /** Ends the VM; the outcome is then `cancelled`. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: VmEvent) => void;
  /** The most memory that the VM, or the program on the host, held so far. */
  readonly onPeakMemory?: (bytes: number) => void;
  /** The console as it comes, all of it. */
  readonly onConsole?: (chunk: Uint8Array) => void;
}

/** In this order; all but `spawned` may be missing where the VM did not get that far. */
export type VmEvent =
  /** The process runs. */
  | { readonly stage: "spawned"; readonly pid: number; readonly vsock: VsockKind }
  /** The guest's init runs: the kernel is up and the root file system is mounted. */
  | { readonly stage: "booted" }
  /** The program was started. */
  | { readonly stage: "program" }
  /** The program has ended, by the guest's last word; what it wrote is still being written back. */
  | { readonly stage: "leaving" };

export type VmOutcome = VmEnd & {
  /** Of Nanos, whose end says nothing of its program: a result that is there counts, whatever the end was. */
  readonly resultDecides?: true;
};

export type VmEnd =
  | { readonly kind: "exited"; readonly exitCode: number }
  /** The program was ended by a signal inside the guest, e.g. `SIGSEGV`. */
  | { readonly kind: "signalled"; readonly signal: string }
  | { readonly kind: "outOfMemory" }
  /** Of Nanos: the program failed, and its image has the machine begin anew. `reason` quotes the console; may be empty. */
  | { readonly kind: "rebooted"; readonly reason: string }
  /** The guest's init never spoke. `reason` quotes what QEMU or the console said last. */
  | { readonly kind: "bootFailed"; readonly reason: string }
  /** The VM ended before the program did. */
  | { readonly kind: "vmDied"; readonly reason: string }
  /** Something that the program needs is not to be had here, such as a volume. */
  | { readonly kind: "unavailable"; readonly reason: string }
  | { readonly kind: "outputLimit"; readonly reason: string }
  | { readonly kind: "idle"; readonly idleMs: number }
  | { readonly kind: "deadline" }
  | { readonly kind: "cancelled" };
