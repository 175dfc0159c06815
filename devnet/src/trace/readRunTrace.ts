import type { RunTrace } from "gevulot-sdk";
import type { Queryable } from "../store/database.ts";
import { readRunTimes } from "../store/readRunTimes.ts";
import { spansOf } from "./spans.ts";

/** Of each kind; a Run that anybody may add Proofs to has no end of its own. */
const MAX_ROWS = 1_000;
const MAX_SPANS = 4_000;

/**
 * @param node this node's public key
 * @returns what this node did for a Run, or null where it is unknown here
 */
export async function readRunTrace(
  client: Queryable,
  run: string,
  node: string,
): Promise<Omit<RunTrace, "p2pAddress"> | null> {
  const times = await readRunTimes(client, run, MAX_ROWS);
  if (times === null) return null;
  const spans = spansOf(times, node);
  const leftOut = Math.max(0, spans.length - MAX_SPANS);
  return { run, node, now: new Date().toISOString(), spans: spans.slice(0, MAX_SPANS), leftOut };
}
