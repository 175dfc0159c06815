import type { EventStream } from "./eventStreams.ts";
import type { RunHub } from "./runHub.ts";

const LOOK_MS = 500;
/** Changes of one Run come in bursts. */
const GATHER_MS = 100;

/**
 * What happens on a node: `info`, what the node says of itself, at once and when it has changed; `runs`, those about
 * which something was stored; `programs`, when there are new ones.
 */
export function followNode(stream: EventStream, hub: RunHub, info: () => object): void {
  let last = "";
  const look = (): void => {
    const data = info();
    // That a peer was heard is no news.
    const now = JSON.stringify(data, (key, value) => (key === "lastSeenAt" ? undefined : value));
    if (now !== last && !stream.isBehind) {
      last = now;
      stream.send({ name: "info", data });
    }
  };
  const changed = new Set<string>();
  let gathering: NodeJS.Timeout | undefined;
  const gather = (run: string): void => {
    changed.add(run);
    gathering ??= setTimeout(() => {
      gathering = undefined;
      stream.send({ name: "runs", data: { runs: [...changed] } });
      changed.clear();
    }, GATHER_MS);
  };
  const unsubscribe = hub.subscribeAll({
    run: gather,
    deploy: () => stream.send({ name: "programs", data: {} }),
  });
  const looking = setInterval(look, LOOK_MS);
  stream.onClose(() => {
    clearInterval(looking);
    clearTimeout(gathering);
    unsubscribe();
  });
  look();
}
