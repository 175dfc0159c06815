import type { Hash, PublicKey } from "./protocol/transaction.ts";

/**
 * Where a Run stands, as `getRunStatus` answers (our extension of the RPC; all fields are JSON as they stand,
 * times are ISO 8601 UTC with milliseconds, durations milliseconds).
 */
export interface RunStatus {
  readonly run: Hash;
  readonly state: RunState;
  readonly submittedAt: string;
  /** When the state became `complete` or `failed`. */
  readonly endedAt: string | null;
  readonly tasks: readonly TaskStatus[];
  readonly proofs: readonly Hash[];
  readonly verifications: readonly Hash[];
  /** What of this Run does not reach everybody, as far as the node that was asked knows. */
  readonly unreached: readonly UnreachedPeers[];
  /** Why the Run failed; set in state `failed` only. */
  readonly failure: TaskFailure | null;
}

/** Nodes of the existing network that can't get a transaction: their messages hold 65,519 bytes. */
export interface UnreachedPeers {
  /** The Run, or a Proof or Verification of it. */
  readonly tx: Hash;
  readonly bytes: number;
  /** `host:port` of each. */
  readonly peers: readonly string[];
}

/** `complete`: a Verification exists, or for a Run of one step its Proof. `failed`: no attempt is left. */
export type RunState = "submitted" | "proving" | "verifying" | "complete" | "failed";

export interface TaskStatus {
  readonly id: string;
  /** Who runs it; null where the node that was asked tells only of its own tasks, and not its name. */
  readonly node: PublicKey | null;
  /** Index of the workflow step, from 0. */
  readonly step: number;
  readonly kind: "proof" | "verification";
  readonly program: Hash;
  readonly programName: string;
  /** The Proof that a verification task checks. */
  readonly proof: Hash | null;
  readonly state: "queued" | "running" | "done" | "failed";
  /** Why a queued task waits, in words: "waits for 2048 MiB of memory, 512 free". */
  readonly waitsFor: string | null;
  readonly attempts: readonly TaskAttempt[];
  /** Hash of the Proof or Verification that the task ended in. */
  readonly result: Hash | null;
  readonly failure: TaskFailure | null;
}

/** One try at a task: one virtual machine. */
export interface TaskAttempt {
  readonly number: number;
  readonly provider: "qemu" | "process";
  readonly accelerator: "kvm" | "tcg" | "none";
  /** How the program could reach the node over VSOCK; `none`: by files alone. Null until it was started. */
  readonly vsock: "vhost-vsock" | "vhost-device-vsock" | "none" | null;
  /** Process id of QEMU, or of the program for the provider `process`. */
  readonly pid: number | null;
  /** BLAKE3 of the image file. */
  readonly imageChecksum: string;
  readonly queuedAt: string;
  readonly startedAt: string;
  /** When the guest's init ran, and when it started the program. */
  readonly bootedAt: string | null;
  readonly programStartedAt: string | null;
  readonly endedAt: string | null;
  readonly failure: TaskFailure | null;
  /** The last 4 KiB of the console. */
  readonly consoleTail: string;
  /** The most memory of this machine that the VM held, guest and QEMU, as far as it was seen; looked at ten times a second. */
  readonly peakMemBytes: number | null;
  /** Of the result: its data and its files. */
  readonly outputBytes: number | null;
}

/**
 * How a task failed. Exactly one of: the program failed, the VM failed, the deadline passed, the node that ran it
 * died and no attempt is left, or the task can never run here.
 */
export interface TaskFailure {
  readonly code: TaskFailureCode;
  /** A sentence for people, with the program's own message where it left one. */
  readonly message: string;
  readonly step: number;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly consoleTail: string;
}

export type TaskFailureCode =
  /** The program reported an error by the shim, or ended with an exit code, or by a signal of its own. */
  | "PROGRAM_FAILED"
  /** The program ended well, but its result is missing, malformed or names a file that isn't there. */
  | "RESULT_INVALID"
  /** A file that the step takes from an earlier step is not among that step's outputs, or a volume is not to be had. */
  | "INPUT_MISSING"
  /** The guest's kernel killed the program for want of memory. */
  | "OUT_OF_MEMORY"
  /** The program left more files or bytes than a task may, and was stopped. */
  | "OUTPUT_LIMIT"
  /** The image did not reach its init. */
  | "BOOT_FAILED"
  /** QEMU ended before the program did: killed, crashed, or the guest's kernel panicked. */
  | "VM_DIED"
  | "DEADLINE"
  | "CANCELLED"
  /** The node went away while the task ran, and no attempt is left. */
  | "LOST"
  /** The program asks for more than this machine has. */
  | "CANNOT_FIT"
  /** The node itself could not run the task; its log has more. */
  | "NODE_ERROR";
