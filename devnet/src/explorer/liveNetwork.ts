import { setTimeout as delay } from "node:timers/promises";
import type { NetworkView, NodeInfoView, NodeView } from "./api.ts";
import { createNodeLink, type ExplorerNode, type NodeLink } from "./nodeLink.ts";

export interface LiveEvents {
  network(view: NetworkView): void;
  /** Something about these Runs is new. */
  runs(runs: readonly string[]): void;
  programs(): void;
}

/** The nodes as they are now. It listens to them only while somebody looks. */
export interface LiveNetwork extends Disposable {
  readonly links: readonly NodeLink[];
  /** Those that answer, as far as is known, come first. */
  linksToAsk(): readonly NodeLink[];
  view(): NetworkView;
  /** Calls `network` at once. @returns the end of the subscription */
  subscribe(listener: LiveEvents): () => void;
}

const RETRY_MS = 1_000;
/** While nobody looks, it goes on for a moment: a page that is reloaded finds it running. */
const LINGER_MS = 2_000;

export function createLiveNetwork(nodes: readonly ExplorerNode[]): LiveNetwork {
  const links = nodes.map(createNodeLink);
  const views = new Map(links.map((link) => [link, firstView(link)]));
  const listeners = new Set<LiveEvents>();
  let stop: AbortController | null = null;
  let lingering: NodeJS.Timeout | undefined;
  const view = (): NetworkView => ({ nodes: [...views.values()] });
  const change = (link: NodeLink, changes: Partial<NodeView>): void => {
    const before = views.get(link) as NodeView;
    const now = { ...before, ...changes };
    if (JSON.stringify(now) === JSON.stringify(before)) return;
    views.set(link, now);
    for (const listener of listeners) listener.network(view());
  };

  const follow = async (link: NodeLink, signal: AbortSignal): Promise<void> => {
    while (!signal.aborted) {
      try {
        for await (const { name, data } of link.events("/events/node", signal)) {
          if (name === "info") change(link, { state: "up", reason: null, info: data as NodeInfoView });
          else if (name === "programs") for (const listener of listeners) listener.programs();
          else if (name === "runs") {
            for (const listener of listeners) listener.runs((data as { runs: string[] }).runs);
          }
        }
      } catch (error) {
        if (!signal.aborted) change(link, { state: "away", reason: (error as Error).message });
      }
      await delay(RETRY_MS, undefined, { signal }).catch(() => {});
    }
  };
  const begin = (): void => {
    clearTimeout(lingering);
    if (stop !== null) return;
    stop = new AbortController();
    for (const link of links) void follow(link, stop.signal);
  };
  const end = (): void => {
    clearTimeout(lingering);
    stop?.abort();
    stop = null;
    // What was true is not known any more.
    for (const [link, each] of views) views.set(link, { ...each, state: "connecting", reason: null });
  };

  return {
    links,
    linksToAsk: () => {
      const isAway = (link: NodeLink) => Number(views.get(link)?.state === "away");
      return [...links].sort((a, b) => isAway(a) - isAway(b));
    },
    view,
    subscribe(listener) {
      listeners.add(listener);
      begin();
      listener.network(view());
      return () => {
        listeners.delete(listener);
        if (listeners.size > 0 || stop === null) return;
        clearTimeout(lingering);
        lingering = setTimeout(end, LINGER_MS);
      };
    },
    [Symbol.dispose]: end,
  };
}

function firstView({ node }: NodeLink): NodeView {
  const { name, rpcUrl } = node;
  return { name, rpcUrl, state: "connecting", reason: null, info: null };
}
