import { isGevulotError } from "gevulot-sdk";
import { createExplorer, type Explorer } from "../explorer/explorerServer.ts";
import type { DevnetNode } from "./devnetNode.ts";

const DEFAULT_PORT = 9940;

/** Opens the explorer of a devnet: at the port that is asked for, or an error; else at its own, if it is free, or any. */
export async function openExplorer(
  nodes: readonly DevnetNode[],
  { port, defaultPorts }: { readonly port?: number | undefined; readonly defaultPorts: boolean },
): Promise<Explorer> {
  const shown = nodes.map(({ name, rpcUrl }) => ({ name, rpcUrl }));
  if (port !== undefined || !defaultPorts) return createExplorer(shown, { port: port ?? 0 });
  return createExplorer(shown, { port: DEFAULT_PORT }).catch((error: unknown) => {
    if (isGevulotError(error, "PORT_TAKEN")) return createExplorer(shown);
    throw error;
  });
}
