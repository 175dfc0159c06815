import { useEffect, useRef, useState } from "preact/hooks";
import type { ProblemView } from "../../src/explorer/api.ts";
import { type News, useLive } from "./live.tsx";

export interface Resource<T> {
  /** What was last read of this address. */
  readonly data: T | null;
  readonly problem: ProblemView | null;
}

/** At most so often it is read again. */
const PAUSE_MS = 400;

/**
 * What the server says at an address. `isNews`: whether it is to be read again. What was read stays while it is.
 */
export function useResource<T>(address: string | null, isNews: (news: News) => boolean): Resource<T> {
  const { onNews } = useLive();
  const [state, setState] = useState<Resource<T> & { address: string | null }>({
    ...{ address, data: null, problem: null },
  });
  const wanted = useRef(isNews);
  wanted.current = isNews;
  useEffect(() => {
    if (address === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isReading = false;
    let again = false;
    const read = async () => {
      isReading = true;
      again = false;
      const answer = await readJson<T>(address, stop.signal);
      isReading = false;
      if (stop.signal.aborted) return;
      setState((before) => ({
        address,
        // What was there is better than nothing while the server is away.
        data: answer.data ?? (before.address === address ? before.data : null),
        problem: answer.problem,
      }));
      if (again) later();
    };
    const later = () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        if (isReading) again = true;
        else void read();
      }, PAUSE_MS);
    };
    const unsubscribe = onNews((news) => {
      if (news.kind === "reconnected" || wanted.current(news)) later();
    });
    void read();
    return () => {
      stop.abort();
      clearTimeout(timer);
      unsubscribe();
    };
  }, [address, onNews]);
  return state.address === address ? state : { data: null, problem: null };
}

async function readJson<T>(
  address: string,
  signal: AbortSignal,
): Promise<{ data: T | null; problem: ProblemView | null }> {
  try {
    const response = await fetch(address, { signal });
    const body = await response.json();
    return response.ok ? { data: body as T, problem: null } : { data: null, problem: body as ProblemView };
  } catch (error) {
    const message = `The explorer does not answer (${(error as Error).message}). Does the devnet run? gevulot-devnet status`;
    return { data: null, problem: { code: "EXPLORER_AWAY", message } };
  }
}
