import type { VolumeMount } from "../../image/manifestMounts.ts";
import { describeHolder } from "./volumeHolds.ts";
import type { VolumeStore } from "./volumeStore.ts";

/** Has tasks of one node that can't have a volume at the same time run one after the other. */
export interface VolumeTurns {
  /** @returns gives the turn back, or says what is waited for. */
  take(mounts: readonly VolumeMount[]): Promise<string | (() => void)>;
}

/**
 * Known before a task begins, so that it waits without memory and processors of the machine. Others than this process
 * may still be quicker: the volume itself is held by the VM's start.
 */
export function createVolumeTurns(store: Pick<VolumeStore, "holders">): VolumeTurns {
  const turns = new Set<readonly VolumeMount[]>();
  return {
    async take(mounts) {
      for (const { label, readonly: isReadonly } of mounts) {
        // What is wrong with a volume, its task is told.
        const holders = await store.holders(label).catch(() => []);
        const holder = holders.find(({ access }) => !isReadonly || access !== "read");
        if (holder) return `waits for the volume ${label}: ${describeHolder(holder)}`;
      }
      // From here on nobody else comes between.
      const clashing = mounts.find(({ label, readonly: isReadonly }) =>
        [...turns].flat().some((one) => one.label === label && !(isReadonly && one.readonly)),
      );
      if (clashing) return `waits for the volume ${clashing.label}: another task has it`;
      const turn = [...mounts];
      turns.add(turn);
      return () => void turns.delete(turn);
    },
  };
}
