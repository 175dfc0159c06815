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
/** A page that nobody sees lets go of its stream: browsers keep few to one server. */
const HIDDEN_MS = 20_000;

/** The one stream of the page. EventSource comes back by itself after most cuts; after a refusal it is begun anew. */
export function LiveProvider({ children }: { readonly children: ComponentChildren }) {
  const listeners = useMemo(() => new Set<(news: News) => void>(), []);
  const [network, setNetwork] = useState<NetworkView | null>(null);
  const [connection, setConnection] = useState<Connection>("connecting");
  const [cutAt, setCutAt] = useState<number | null>(null);
  useEffect(() => {
    let source: EventSource | null = null;
    let hidden: ReturnType<typeof setTimeout> | undefined;
    let retry: ReturnType<typeof setTimeout> | undefined;
    let wasCut = false;
    const tell = (news: News) => {
      for (const listener of listeners) listener(news);
    };
    const open = () => {
      const stream = new EventSource("/api/live");
      source = stream;
      stream.addEventListener("network", ({ data }) => {
        setNetwork(JSON.parse(data) as NetworkView);
        tell({ kind: "network" });
      });
      stream.addEventListener("runs", ({ data }) => tell({ kind: "runs", ...JSON.parse(data) }));
      stream.addEventListener("programs", () => tell({ kind: "programs" }));
      stream.onopen = () => {
        setConnection("live");
        setCutAt(null);
        if (wasCut) tell({ kind: "reconnected" });
        wasCut = false;
      };
      stream.onerror = () => {
        wasCut = true;
        setConnection("cut");
        setCutAt((at) => at ?? Date.now());
        if (stream.readyState === EventSource.CLOSED) retry = setTimeout(open, RETRY_MS);
      };
    };
    const close = () => {
      clearTimeout(retry);
      source?.close();
      source = null;
    };
    const onVisibility = () => {
      clearTimeout(hidden);
      if (!document.hidden) {
        if (source === null) open();
        return;
      }
      hidden = setTimeout(() => {
        close();
        // What is news then is asked for when somebody looks again.
        wasCut = true;
        setConnection("connecting");
      }, HIDDEN_MS);
    };
    document.addEventListener("visibilitychange", onVisibility);
    open();
    return () => {
      document.removeEventListener("visibilitychange", onVisibility);
      clearTimeout(hidden);
      close();
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
