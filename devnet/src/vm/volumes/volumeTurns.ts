import type { VolumeMount } from "../../image/manifestMounts.ts";
import { describeHolder } from "./volumeHolds.ts";
import type { VolumeStore } from "./volumeStore.ts";

/** Has tasks of one node that can't have a volume at the same time run one after the other. */
export interface VolumeTurns {
  /**
   * @param who the task: it asks again until it gets its turn
   * @returns gives the turn back, or says what is waited for.
   */
  take(mounts: readonly VolumeMount[], who: string): Promise<string | (() => void)>;
}

interface Asking {
  /** Who asked first has the lower one. */
  readonly order: number;
  readonly askedMs: number;
  /** The volume that it waits for, where it is to write to it. */
  readonly toWrite: string | null;
}

/** Who has not asked for so long does not ask again. */
const FORGET_MS = 30_000;

/**
 * Known before a task begins, so that it waits without memory and processors of the machine. Others than this process
 * may still be quicker: the volume itself is held by the VM's start. Readers that come after one that waits to write wait
 * for it: else those that come and go would never let it in.
 */
export function createVolumeTurns(
  store: Pick<VolumeStore, "holders">,
  now: () => number = () => performance.now(),
): VolumeTurns {
  const turns = new Set<readonly VolumeMount[]>();
  const asking = new Map<string, Asking>();
  let asked = 0;
  return {
    async take(mounts, who) {
      const askedMs = now();
      for (const [one, { askedMs: lastMs }] of asking) if (askedMs - lastMs > FORGET_MS) asking.delete(one);
      const order = asking.get(who)?.order ?? asked++;
      const refuse = ({ label, readonly: isReadonly }: VolumeMount, reason: string): string => {
        asking.set(who, { order, askedMs, toWrite: isReadonly ? null : label });
        return `waits for the volume ${label}: ${reason}`;
      };
      for (const mount of mounts) {
        // What is wrong with a volume, its task is told.
        const holders = await store.holders(mount.label).catch(() => []);
        const holder = holders.find(({ access }) => !mount.readonly || access !== "read");
        if (holder) return refuse(mount, describeHolder(holder));
      }
      // From here on nobody else comes between.
      const clashing = mounts.find(({ label, readonly: isReadonly }) =>
        [...turns].flat().some((one) => one.label === label && !(isReadonly && one.readonly)),
      );
      if (clashing) return refuse(clashing, "another task has it");
      const waits = [...asking.values()].filter((one) => one.order < order).map(({ toWrite }) => toWrite);
      const wanted = mounts.find(({ label, readonly: isReadonly }) => isReadonly && waits.includes(label));
      if (wanted) return refuse(wanted, "a task that came first waits to write to it");
      asking.set(who, { order, askedMs, toWrite: null });
      const turn = [...mounts];
      turns.add(turn);
      return () => void turns.delete(turn);
    },
  };
}
