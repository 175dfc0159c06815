import { createHash } from "node:crypto";

/**
 * Nodes in the order in which they are to work on a Run: ascending by SHA3-256(run hash || public key).
 *
 * @param run 64 hex digits
 * @param publicKeys 130 hex digits each
 */
export function rankNodes(run: string, publicKeys: readonly string[]): string[] {
  const prefix = Buffer.from(run, "hex");
  const placed = publicKeys.map((publicKey) => {
    const place = createHash("sha3-256").update(prefix).update(publicKey, "hex").digest("hex");
    return { publicKey, place };
  });
  placed.sort((a, b) => (a.place < b.place ? -1 : a.place > b.place ? 1 : 0));
  return placed.map(({ publicKey }) => publicKey);
}

/** What is known of one piece of work: a step, or the verification of a Proof. */
export interface WorkFacts {
  /** Alive and able, in the order of {@link rankNodes}. */
  readonly ranked: readonly string[];
  /** Whose result is there; also nodes that are gone since. */
  readonly delivered: ReadonlySet<string>;
  /** Who reported a failure, or whose result was rejected. */
  readonly failed: ReadonlySet<string>;
  /** How many times the time for a result has passed since the work could begin. */
  readonly windowsPassed: number;
}

export interface WorkRule {
  /** How many results are wanted; Infinity: one of every node. */
  readonly wanted: number;
  /** How many nodes are tried for the same result. */
  readonly attempts: number;
}

export interface Assignment {
  /** Whose turn it is. */
  readonly active: readonly string[];
  /** No result is there, and nobody is left to make one. */
  readonly exhausted: boolean;
}

/**
 * Whose turn a piece of work is. The first of the ranking work; one that failed, or did not deliver in its time, is
 * replaced by the next, until `attempts` were made for a result. Nodes that see the same facts decide the same.
 */
export function assignWork(facts: WorkFacts, rule: WorkRule): Assignment {
  const { ranked, delivered, failed } = facts;
  // A result of a node that failed before, or the other way round: the result is what counts.
  const failures = [...failed].filter((node) => !delivered.has(node)).length;
  const slots = rule.wanted - delivered.size;
  // A result that never comes must not try the whole network.
  let tries = rule.wanted + rule.attempts - 1 - delivered.size - failures;
  let late = facts.windowsPassed === 0 ? 0 : facts.windowsPassed * slots;
  const active: string[] = [];
  for (const node of ranked) {
    if (active.length >= slots || tries <= 0) break;
    if (delivered.has(node) || failed.has(node)) continue;
    tries--;
    if (late > 0) late--;
    else active.push(node);
  }
  return { active, exhausted: delivered.size === 0 && active.length === 0 };
}
