import type { Logger } from "pino";
import { extractProgram } from "../image/extractProgram.ts";
import { readNanosBoot } from "../image/nanos/nanosBoot.ts";
import { prepareBoot } from "../image/prepareBoot.ts";
import { withExec } from "./execProvider.ts";
import type { InspectOptions } from "./inspector.ts";
import { createProcessProvider } from "./processProvider.ts";
import type { VmProvider } from "./provider.ts";
import { createQemuProvider } from "./qemuProvider.ts";
import type { VsockOptions } from "./vsock/createVsockHost.ts";

export interface VmProviderOptions {
  /** `auto`: QEMU. Never `process` unasked: what a host process proves says nothing about the VM. */
  readonly provider: "auto" | "qemu" | "process";
  readonly qemuPath: string;
  /** For what is taken out of images. */
  readonly cacheDir: string;
  /** Of host processes. */
  readonly inspect?: InspectOptions | undefined;
  /** For QEMU's VMs. */
  readonly vsock?: VsockOptions;
  /** Folder of the volumes. Default: the user's own. */
  readonly volumesDir?: string | undefined;
  /** These two: see `QemuProviderOptions`. */
  readonly ownPrograms?: boolean;
  readonly bootLimitMs?: number | undefined;
  /** For volumes that others use; see `QemuProviderOptions`. */
  readonly volumeWaitMs?: number;
  readonly signal?: AbortSignal;
}

/** @throws GevulotError `QEMU_NOT_FOUND` (says how to install it), `QEMU_UNUSABLE` */
export async function createVmProvider(
  deps: { readonly log: Logger },
  options: VmProviderOptions,
): Promise<VmProvider> {
  const { log } = deps;
  return withExec(
    options.provider === "process"
      ? await createProcessProvider({ log, extractProgram }, options)
      : await createQemuProvider({ log, prepareBoot, readNanosBoot }, options),
  );
}
