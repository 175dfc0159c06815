import type { Hash, PublicKey } from "./protocol/transaction.ts";

/**
 * What one node did for a Run, and when, as `getRunTrace` answers (our extension of the RPC). Times are ISO 8601 UTC with
 * milliseconds, by the node's own clock and its database's: those of nodes on different machines may differ.
 */
export interface RunTrace {
  readonly run: Hash;
  /** The node that tells. */
  readonly node: PublicKey;
  /** `host:port` by which peers know it; the `peer` of other nodes' spans. */
  readonly p2pAddress: string;
  /** Its clock when it answered. */
  readonly now: string;
  /** In the order of their beginning. */
  readonly spans: readonly TraceSpan[];
  /** How many more there are than one answer holds. */
  readonly leftOut: number;
}

/** Something that took its time. */
export interface TraceSpan {
  readonly name: TraceSpanName;
  readonly startedAt: string;
  /** The same for something that happened at once; null while it goes on. */
  readonly endedAt: string | null;
  /** The Run, Proof or Verification that it is about; null where it is about a task. */
  readonly tx: Hash | null;
  readonly kind: "run" | "proof" | "verification";
  readonly task: string | null;
  readonly step: number | null;
  /** From 1. */
  readonly attempt: number | null;
  /** Of `accept`: the peer that the transaction came from, `host:port`; null where a client sent it or the node made it. */
  readonly peer: string | null;
  /** For people: a number of files, an exit code, why something waited. */
  readonly detail: string;
}

export type TraceSpanName =
  /** From the transaction's arrival until its hash, signature and form were checked. */
  | "accept"
  /** It came before what it refers to. */
  | "wait-parent"
  /** Its files were downloaded and checked. */
  | "fetch-files"
  /** The commit. */
  | "store"
  /** The task waited until it was this node's turn. */
  | "assign"
  /** It waited for memory, processors or GPUs. */
  | "queue"
  /** Workspace, boot files, volumes; up to the start of QEMU, or of the host process. */
  | "prepare"
  /** QEMU and the guest's kernel, until its init ran. Not for host processes. */
  | "kernel"
  /** Until the program was started. */
  | "init"
  /** The program's own time. */
  | "program"
  /** At once: the program asked for its task over VSOCK. */
  | "task-taken"
  /** At once: it handed over its result over VSOCK. */
  | "result"
  /** The guest wrote back its workspace and went. */
  | "stop-vm"
  /** Output files were copied, hashed and signed, or the failure was found out. */
  | "collect";
