import type { RunView } from "../../src/explorer/api.ts";
import { useLive } from "./live.tsx";
import { shortHash } from "./words.ts";

/** Names of nodes by their keys; a stranger's is its key, shortened. */
export function useNodeNames(run: RunView): (key: string | null) => string {
  const { network } = useLive();
  const names = new Map(run.traces.map(({ node, name }) => [node as string, name]));
  for (const { name, info } of network?.nodes ?? []) if (info) names.set(info.publicKey, name);
  return (key) => (key === null ? "a node" : (names.get(key) ?? shortHash(key)));
}
