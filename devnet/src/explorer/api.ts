import type { RunState, RunStatus, RunTrace } from "gevulot-sdk";

/** What the explorer's server tells its page, as JSON. Types alone: the page is built apart. */

export interface NetworkView {
  readonly nodes: readonly NodeView[];
}

export interface Amounts {
  readonly memMib: number;
  readonly cpus: number;
  readonly gpus: number;
}

export interface NodeView {
  readonly name: string;
  readonly rpcUrl: string;
  /** `away`: it does not answer, for `reason`; the rest is what it last said. */
  readonly state: "connecting" | "up" | "away";
  readonly reason: string | null;
  /** Null until it was heard. */
  readonly info: NodeInfoView | null;
}

/** The part of `getNodeInfo` that is shown. */
export interface NodeInfoView {
  readonly publicKey: string;
  readonly p2pAddress: string;
  readonly version: string;
  readonly execution: "all" | "assigned" | "none";
  readonly machine: { readonly total: Amounts; readonly held: Amounts; readonly tasks: number };
  readonly peers: readonly {
    readonly address: string;
    readonly publicKey: string | null;
    readonly protocolVersion: number;
    readonly connectedAt: string;
  }[];
}

export interface PageView<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
  /** The node that was asked. */
  readonly from: string;
}

export interface ProgramRef {
  readonly hash: string;
  /** Null where no node knows it. */
  readonly name: string | null;
}

export interface RunRow {
  readonly run: string;
  readonly author: string;
  readonly state: RunState;
  readonly submittedAt: string;
  readonly programs: readonly ProgramRef[];
  readonly proofs: number;
  readonly verifications: number;
}

export interface ProgramRow {
  readonly program: string;
  readonly name: string;
  readonly imageFileName: string;
  readonly imageFileChecksum: string;
  readonly memMib: number;
  readonly cpus: number;
  readonly gpus: number;
  readonly author: string;
  readonly deploy: string;
  readonly deployedAt: string;
}

export interface ProgramView extends Omit<ProgramRow, "author" | "deploy" | "deployedAt"> {
  readonly imageFileUrl: string;
}

export interface FileView {
  /** The path inside the VM. */
  readonly vmPath: string;
  /** BLAKE3. */
  readonly checksum: string;
  /** Where the explorer serves it. */
  readonly href: string;
}

export interface InputView {
  readonly vmPath: string;
  /** Of a file that came with the Run; null of one that an earlier step made. */
  readonly checksum: string | null;
  readonly href: string | null;
  readonly source: ProgramRef | null;
}

export interface StepView {
  readonly program: ProgramRef;
  readonly args: readonly string[];
  readonly inputs: readonly InputView[];
}

export interface ResultView {
  readonly hash: string;
  readonly kind: "proof" | "verification";
  readonly parent: string;
  readonly program: ProgramRef;
  readonly author: string;
  readonly bytes: number;
  /** Its first bytes, as text where they are some, else in hex. */
  readonly preview: string;
  readonly href: string;
  readonly files: readonly FileView[];
}

export interface RunView {
  readonly status: RunStatus;
  readonly author: string;
  readonly steps: readonly StepView[];
  readonly results: readonly ResultView[];
  /** What each node says; null where it does not know the Run. */
  readonly seenBy: readonly { readonly name: string; readonly state: RunState | null }[];
  /** What each node did, and when, by its own clock. */
  readonly traces: readonly (Pick<RunTrace, "node" | "spans" | "leftOut"> & { readonly name: string })[];
}

export interface FoundView {
  readonly hash: string;
  readonly kind: "run" | "proof" | "verification" | "deploy" | "program" | "node" | "other";
  readonly run: string | null;
  readonly name: string | null;
}

export interface ProblemView {
  readonly code: string;
  readonly message: string;
}
