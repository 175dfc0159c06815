import { type ComponentChildren, createContext } from "preact";
import { useContext, useEffect, useMemo, useState } from "preact/hooks";
import type { NetworkView } from "../../src/explorer/api.ts";

/** `cut`: the server does not answer; what is shown is as old as that. */
export type Connection = "connecting" | "live" | "cut";

export type News =
  | { readonly kind: "runs"; readonly runs: readonly string[] }
  | { readonly kind: "programs" | "network" | "reconnected" };

export interface Live {
  readonly network: NetworkView | null;
  readonly connection: Connection;
  /** When it was cut, by this machine's clock. */
  readonly cutAt: number | null;
  /** @returns the end of the subscription */
  readonly onNews: (listener: (news: News) => void) => () => void;
}

const LiveContext = createContext<Live | null>(null);

const RETRY_MS = 2_000;

/** The one stream of the page. EventSource comes back by itself after most cuts; after a refusal it is begun anew. */
export function LiveProvider({ children }: { readonly children: ComponentChildren }) {
  const listeners = useMemo(() => new Set<(news: News) => void>(), []);
  const [network, setNetwork] = useState<NetworkView | null>(null);
  const [connection, setConnection] = useState<Connection>("connecting");
  const [cutAt, setCutAt] = useState<number | null>(null);
  useEffect(() => {
    let source: EventSource;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let wasCut = false;
    const tell = (news: News) => {
      for (const listener of listeners) listener(news);
    };
    const open = () => {
      source = new EventSource("/api/live");
      source.addEventListener("network", ({ data }) => {
        setNetwork(JSON.parse(data) as NetworkView);
        tell({ kind: "network" });
      });
      source.addEventListener("runs", ({ data }) => tell({ kind: "runs", ...JSON.parse(data) }));
      source.addEventListener("programs", () => tell({ kind: "programs" }));
      source.onopen = () => {
        setConnection("live");
        setCutAt(null);
        if (wasCut) tell({ kind: "reconnected" });
        wasCut = false;
      };
      source.onerror = () => {
        wasCut = true;
        setConnection("cut");
        setCutAt((at) => at ?? Date.now());
        if (source.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
      };
    };
    open();
    return () => {
      clearTimeout(retry);
      source.close();
    };
  }, []);
  const live = useMemo<Live>(() => {
    const onNews = (listener: (news: News) => void) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    };
    return { network, connection, cutAt, onNews };
  }, [network, connection, cutAt]);
  return <LiveContext.Provider value={live}>{children}</LiveContext.Provider>;
}

export function useLive(): Live {
  const live = useContext(LiveContext);
  if (live === null) throw new Error("useLive outside of LiveProvider");
  return live;
}
