import { existsSync } from "node:fs";
import type { Logger } from "pino";
import { findExecutable } from "../findExecutable.ts";
import type { Launcher, RunAs } from "../launcher.ts";
import { requireKoffi } from "../requireKoffi.ts";
import { installedProgram, VHOST_PROGRAM } from "./installedProgram.ts";
import { createKernelVsock } from "./kernelVsock.ts";
import { createUserVsock } from "./userVsock.ts";
import type { VsockHost } from "./vsockHost.ts";

export interface VsockHostDeps {
  readonly log: Logger;
  readonly launcher: Launcher;
  readonly runAs: RunAs | null;
}

export interface VsockOptions {
  /** `auto`: the first of the three ways that works; `off`: files only. */
  readonly mode?: "auto" | "off";
  /** For the kernel's device. Default 8080, which is what programs connect to. */
  readonly listenPort?: number;
  /** rust-vmm's program. Default: `vhost-device-vsock` in PATH, then what the set-up installed. */
  readonly vhostDevicePath?: string | undefined;
}

const LISTEN_PORT = 8080;

/** Finds out how VMs can reach this node over VSOCK. Never fails: without a way, tasks travel as files. */
export async function createVsockHost(deps: VsockHostDeps, options: VsockOptions = {}): Promise<VsockHost> {
  const { log } = deps;
  const reasons: string[] = [];
  const ways = options.mode === "off" ? [] : [() => byKernel(options), () => byProcess(deps, options)];
  if (ways.length === 0) reasons.push("it is switched off");
  for (const way of ways) {
    try {
      const host = await way();
      log.info({ vsock: host.kind, detail: host.detail }, "VMs reach this node over VSOCK");
      return host;
    } catch (error) {
      reasons.push((error as Error).message);
    }
  }
  const reason = reasons.join("; ");
  log.info({ vsock: "none", reason }, "no VSOCK: tasks and results travel as files");
  return {
    kind: "none",
    detail: reason,
    open: () => Promise.reject(new Error(`there is no VSOCK: ${reason}`)),
    async [Symbol.asyncDispose]() {},
  };
}

async function byKernel(options: VsockOptions): Promise<VsockHost> {
  if (!existsSync("/dev/vhost-vsock"))
    throw new Error("no /dev/vhost-vsock (it comes with the module vhost_vsock)");
  return createKernelVsock({ koffi: requireKoffi(), port: options.listenPort ?? LISTEN_PORT });
}

async function byProcess({ launcher, runAs }: VsockHostDeps, options: VsockOptions): Promise<VsockHost> {
  if (process.platform !== "linux") throw new Error(`no ${VHOST_PROGRAM} for ${process.platform}`);
  const given = options.vhostDevicePath;
  const binary =
    given === undefined
      ? ((await findExecutable(VHOST_PROGRAM)) ?? (await findExecutable(installedProgram().program)))
      : await findExecutable(given);
  if (binary === null)
    throw new Error(`no program ${given ?? VHOST_PROGRAM} (npm run setup installs it with cargo)`);
  return createUserVsock({ binary, launcher, runAs });
}
