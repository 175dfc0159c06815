import type { RunTrace, TraceSpan } from "gevulot-sdk";

/** What one node told, and under which name it is shown. */
export interface NodeTrace {
  readonly name: string;
  readonly trace: RunTrace;
}

/** Of a node; `gossip` is what lies between the commit of one node and the arrival at the next. */
export interface NetworkSpan extends Omit<TraceSpan, "name"> {
  readonly name: TraceSpan["name"] | "gossip";
  /** Where it happened. */
  readonly node: string;
}

/** A Run across nodes, its spans in the order of their beginning. */
export interface NetworkTrace {
  readonly run: string;
  /** The first span's beginning; null where no node noted anything. */
  readonly startedAt: string | null;
  /** The last one's end; null while something goes on. */
  readonly endedAt: string | null;
  readonly spans: readonly NetworkSpan[];
  /** How many spans are missing, the nodes' answers being limited. */
  readonly leftOut: number;
}

/**
 * Puts what nodes noted about a Run into one order. Each tells by its own clock: between machines the order is as right
 * as their clocks are.
 */
export function joinTraces(run: string, nodes: readonly NodeTrace[]): NetworkTrace {
  const spans = nodes.flatMap(({ name, trace }) =>
    trace.spans.flatMap((span): NetworkSpan[] => {
      const own = { ...span, node: name };
      return span.name === "accept" && span.peer !== null ? [...gossipTo(nodes, own), own] : [own];
    }),
  );
  spans.sort((a, b) => Date.parse(a.startedAt) - Date.parse(b.startedAt) || order(a) - order(b));
  const ends = spans.map(({ endedAt }) => endedAt);
  const isOpen = ends.includes(null);
  const lastMs = Math.max(...ends.map((end) => Date.parse(end ?? "")));
  return {
    run,
    startedAt: spans[0]?.startedAt ?? null,
    endedAt: isOpen || spans.length === 0 ? null : new Date(lastMs).toISOString(),
    spans,
    leftOut: nodes.reduce((sum, { trace }) => sum + trace.leftOut, 0),
  };
}

/** What happens at once stands behind what begins in the same millisecond; the others are in order. */
function order({ name }: NetworkSpan): number {
  return name === "task-taken" || name === "result" ? 1 : 0;
}

/** How a transaction came: from the commit at the peer that sent it, or at whoever is known to have had it first. */
function gossipTo(nodes: readonly NodeTrace[], accepted: NetworkSpan): NetworkSpan[] {
  const stores = nodes.flatMap(({ name, trace }) =>
    trace.spans.flatMap(({ name: what, tx, endedAt }) =>
      what === "store" && tx === accepted.tx && endedAt !== null && name !== accepted.node
        ? [{ name, address: trace.p2pAddress, endedAt }]
        : [],
    ),
  );
  const first = stores.toSorted((a, b) => Date.parse(a.endedAt) - Date.parse(b.endedAt))[0];
  const sender = stores.find(({ address }) => address === accepted.peer) ?? first;
  // Earlier than it was sent: the clocks differ.
  if (sender === undefined || sender.endedAt > accepted.startedAt) return [];
  return [
    {
      ...accepted,
      name: "gossip",
      startedAt: sender.endedAt,
      endedAt: accepted.startedAt,
      detail: `from ${sender.name}`,
    },
  ];
}
