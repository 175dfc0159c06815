import { useEffect, useState } from "preact/hooks";

/** Where the page is: a path of this server, with its query. */
export interface Place {
  readonly path: string;
  readonly query: URLSearchParams;
}

const MOVED = "explorer-moved";

const here = (): Place => ({ path: location.pathname, query: new URLSearchParams(location.search) });

export function goTo(href: string, { replace = false } = {}): void {
  if (replace) history.replaceState(null, "", href);
  else history.pushState(null, "", href);
  dispatchEvent(new Event(MOVED));
}

/** Links of this page move it without loading it anew; those that open elsewhere, or download, are the browser's. */
function onClick(event: MouseEvent): void {
  if (event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const link = (event.target as Element).closest?.("a");
  if (!link || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname === location.pathname && link.hash !== "") return;
  event.preventDefault();
  goTo(link.pathname + link.search + link.hash);
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const move = () => setPlace(here());
    addEventListener("popstate", move);
    addEventListener(MOVED, move);
    document.addEventListener("click", onClick);
    return () => {
      removeEventListener("popstate", move);
      removeEventListener(MOVED, move);
      document.removeEventListener("click", onClick);
    };
  }, []);
  return place;
}
