import { admit, type Capacity, fitsNow, type ResourceAmount, type Waiting } from "./resources.ts";

export interface StartHow<T> {
  readonly capacity: Capacity;
  /** By those that run, also those started meanwhile. */
  readonly used: () => ResourceAmount;
  /** Gives the turn back, or says what is waited for. */
  readonly takeTurn: (task: T) => Promise<string | (() => void)>;
  /** The turn is the task's from then on, unless it says why the task did not start. */
  readonly start: (task: T, giveBack: () => void) => Promise<string | null>;
}

/** Each looks at what the former left; more writers than that, which lack the same, are rare. */
const PASSES = 8;

/**
 * Starts those that have both their turn and their share of the machine. A turn that is taken and can't be used is given
 * back, and who waited only for it is asked again: a writer that waits for a GPU keeps no reader waiting.
 *
 * @param tasks oldest first
 * @returns why the others wait, by their ids.
 */
export async function startWithTurns<T extends Waiting>(
  tasks: readonly T[],
  { capacity, used, takeTurn, start }: StartHow<T>,
): Promise<Map<string, string>> {
  const waits = new Map<string, string>();
  const started = new Set<T>();
  let asking: readonly T[] = tasks;
  for (let pass = 0; pass < PASSES; pass++) {
    const turns = new Map<T, () => void>();
    try {
      for (const task of asking) {
        const turn = await takeTurn(task);
        if (typeof turn === "string") waits.set(task.id, turn);
        else turns.set(task, turn);
      }
      const refused = asking.filter((task) => !turns.has(task));
      // Those of earlier passes too: who must not be overtaken is among them.
      const ready = tasks.filter((task) => !started.has(task) && !refused.includes(task));
      const admission = admit(capacity, used(), ready);
      for (const [id, reason] of admission.wait) waits.set(id, reason);
      for (const [task, giveBack] of [...turns]) {
        if (!admission.start.includes(task.id)) continue;
        const reason = await start(task, giveBack);
        if (reason !== null) waits.set(task.id, reason);
        else {
          turns.delete(task);
          started.add(task);
          waits.delete(task.id);
        }
      }
      asking = refused;
    } finally {
      for (const giveBack of turns.values()) giveBack();
    }
    if (turns.size === 0 || !asking.some(({ wanted }) => fitsNow(capacity, used(), wanted) === null)) break;
  }
  return waits;
}
