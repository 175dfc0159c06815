import { status } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { ProverNode } from "./proverNode.ts";

const EVERY_MS = 10_000;
const EVERY_WHILE_AWAY_MS = 2_000;
const BYTES_PER_MIB = 2 ** 20;
/** `prover.v1.GetStatusResponse.Status`. */
const BOOTING = 1;
const HALT = 4;

export interface ProbeDeps {
  readonly log: Logger;
  readonly onRoom: () => void;
  /** How the node calls itself. */
  readonly onId: (id: string) => void;
}

/**
 * Asks a node of the configuration's list again and again how it is: one that can't be reached gets nothing, and gets work
 * again as soon as it can. One that does not answer in time, or lacks the method, is taken as it is: existing nodes may
 * answer nothing else while they work.
 */
export function probeNode(deps: ProbeDeps, node: ProverNode): { stop(): void } {
  const { log } = deps;
  let isAway: boolean | null = null;
  const see = (isAwayNow: boolean, reason: string): void => {
    if (isAwayNow === isAway) return;
    node.away(isAwayNow);
    if (isAwayNow)
      log.warn({ node: node.id, reason }, "a node of prover_addrs can't work; it is asked again");
    else log.info({ node: node.id }, "a node of prover_addrs answers");
    isAway = isAwayNow;
    if (!isAwayNow) deps.onRoom();
  };
  const probe = async (): Promise<void> => {
    try {
      const said = await node.client!.getStatus();
      if (said.prover_id !== "") deps.onId(said.prover_id);
      const [cores, bytes] = [Number(said.number_of_cores), Number(said.total_memory)];
      // The existing service's nodes leave them empty.
      node.learn({
        ...(cores > 0 && { cores }),
        ...(bytes > 0 && { memMib: Math.floor(bytes / BYTES_PER_MIB) }),
      });
      const isNotReady = said.status === BOOTING || said.status === HALT;
      see(isNotReady, "it says that it does not work now");
    } catch (error) {
      const { code, message } = error as { code?: number; message: string };
      if (code === status.UNAVAILABLE && !node.gone.aborted) see(true, message);
    }
  };
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  const again = (): void => {
    if (!isStopped) timer = setTimeout(look, isAway ? EVERY_WHILE_AWAY_MS : EVERY_MS);
  };
  const look = (): void => void probe().finally(again);
  look();
  return {
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
