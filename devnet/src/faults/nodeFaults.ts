import { setTimeout as delay } from "node:timers/promises";

/** What is to go wrong with a node of a devnet, for tests; only its devnet can say so. All of it at once: no entry, no fault. */
export interface FaultSettings {
  /** `host:port` where the peers listen that it can't reach, and that can't reach it. */
  readonly cutFrom?: readonly string[];
  /** Its Proofs are not what its provers made. */
  readonly tamperProof?: Chance;
  /** It says of Proofs what is not so. */
  readonly lyingVerifier?: Chance & { readonly says: "valid" | "invalid" };
  /** How much longer each reading and each writing of a task's files takes. */
  readonly slowDiskMs?: number;
  /** Its VMs' connections to it are cut. */
  readonly dropVsock?: boolean;
}

/** How often: of a task it is always the same, so that a test that is run again sees the same. */
export interface Chance {
  /** 0 to 1. */
  readonly chance: number;
  readonly seed: number;
}

export interface NodeFaults {
  readonly settings: FaultSettings;
  set(settings: FaultSettings): void;
  isCut(address: string): boolean;
  /** `listener` gets the addresses that can be reached again. */
  onCut(listener: (healed: readonly string[]) => void): Disposable;
}

export function createNodeFaults(): NodeFaults {
  let settings: FaultSettings = {};
  const listeners = new Set<(healed: readonly string[]) => void>();
  return {
    get settings() {
      return settings;
    },
    set(changed) {
      const before = settings.cutFrom ?? [];
      settings = changed;
      const healed = before.filter((address) => !changed.cutFrom?.includes(address));
      for (const listener of listeners) listener(healed);
    },
    isCut: (address) => settings.cutFrom?.includes(address) ?? false,
    onCut(listener) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
  };
}

/** As long as the disk of the node takes longer. */
export async function slowDisk(faults: NodeFaults | undefined): Promise<void> {
  if (faults?.settings.slowDiskMs) await delay(faults.settings.slowDiskMs);
}
