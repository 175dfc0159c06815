import { isGevulotError } from "gevulot-sdk";
import type { DisposeStack } from "../../disposeStack.ts";
import { mountsOfTask, nanosVolumesProblem } from "../../image/deployedVolumes.ts";
import type { VolumeMount } from "../../image/manifestMounts.ts";
import type { VmOutcome, VmTask } from "../provider.ts";
import { type GuestVolumes, holdGuestVolumes } from "./guestVolumes.ts";
import type { VolumeFormat, VolumeStore } from "./volumeStore.ts";

export interface TaskVolumesOptions {
  readonly store: VolumeStore;
  /** Of the image; the task may name more. */
  readonly mounts: readonly VolumeMount[];
  readonly format: VolumeFormat;
  /** See `QemuProviderOptions`. */
  readonly ownPrograms?: boolean | undefined;
  readonly volumeWaitMs: number;
  readonly signal: AbortSignal;
  readonly onWait: (reason: string) => void;
}

/** Takes a task's volumes until the stack is disposed of; or what the task comes to, as they can't be had. */
export async function takeVolumes(
  stack: DisposeStack,
  task: VmTask,
  options: TaskVolumesOptions,
): Promise<GuestVolumes | VmOutcome> {
  const { store, mounts, format, signal, onWait } = options;
  const problem = format === "nanos" ? nanosVolumesProblem(mounts, task.volumes) : null;
  if (problem !== null) return { kind: "unavailable", reason: `The volumes can't be mounted: ${problem}.` };
  try {
    return await holdGuestVolumes(stack, store, mountsOfTask(mounts, task.volumes), {
      what: `task ${task.attemptId}`,
      isStrangers: options.ownPrograms !== true,
      waitMs: options.volumeWaitMs,
      format,
      signal,
      onWait,
    });
  } catch (error) {
    if (signal.aborted) return { kind: "cancelled" };
    for (const code of ["VOLUME_MISSING", "VOLUME_IN_USE", "VOLUME_INVALID"] as const) {
      if (isGevulotError(error, code)) return { kind: "unavailable", reason: error.message };
    }
    throw error;
  }
}
