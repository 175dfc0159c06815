import type { TaskServer } from "./taskServer.ts";

/** How VMs of this node reach it over VSOCK; chosen once, when the node starts. */
export interface VsockHost extends AsyncDisposable {
  readonly kind: VsockKind;
  /** For people: how, or why not. */
  readonly detail: string;
  /** A device for one VM, whose connections go to `server`. */
  open(options: VsockOpenOptions): Promise<VsockDevice>;
}

/** The kernel's device, rust-vmm's process beside each VM, or none: then tasks travel as files. */
export type VsockKind = "vhost-vsock" | "vhost-device-vsock" | "none";

export interface VsockOpenOptions {
  readonly server: TaskServer;
  /** Names the VM, so that what outlives a node can be told; see runMark.ts. */
  readonly mark: string;
  readonly signal?: AbortSignal;
}

/** Disposed of after its VM. */
export interface VsockDevice extends AsyncDisposable {
  readonly device: QemuVsock;
  /** Of the process that serves it, where there is one. */
  readonly pid?: number;
}

/** What QEMU is told. */
export type QemuVsock =
  /** `fd` is this process's, for QEMU to inherit. */
  | { readonly kind: "vhost"; readonly cid: number; readonly fd: number }
  | { readonly kind: "vhost-user"; readonly socketPath: string };
