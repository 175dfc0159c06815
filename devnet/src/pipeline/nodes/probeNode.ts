import { status } from "@grpc/grpc-js";
import type { Logger } from "pino";
import type { WireNodeHello } from "../wire/messages.ts";
import type { ProverNode } from "./proverNode.ts";

const EVERY_MS = 10_000;
const EVERY_WHILE_AWAY_MS = 2_000;

export interface ProbeDeps {
  readonly log: Logger;
  readonly onRoom: () => void;
  /** What a node of ours says of itself. */
  readonly onHello: (hello: WireNodeHello) => void;
}

/**
 * Looks again and again whether a node of the configuration's list can work: one that can't be reached gets nothing, nor
 * before the first look, and gets work again as soon as it can. A node of ours says what it is. Another is never asked
 * GetStatus: while it works on a proof each such call keeps one of its threads waiting.
 */
export function probeNode(deps: ProbeDeps, node: ProverNode): { stop(): void } {
  const { log } = deps;
  node.away(true);
  let isAway: boolean | null = null;
  const see = (isAwayNow: boolean, reason: string): void => {
    if (isAwayNow === isAway || node.gone.aborted) return;
    node.away(isAwayNow);
    if (isAwayNow)
      log.warn({ node: node.id, reason }, "a node of prover_addrs can't work; it is asked again");
    else log.info({ node: node.id }, `a node of prover_addrs answers; ${reason}`);
    isAway = isAwayNow;
    if (!isAwayNow) deps.onRoom();
  };
  const probe = async (): Promise<void> => {
    try {
      const { hello, alive } = await node.client!.describe();
      deps.onHello(hello);
      see(alive.draining, alive.draining ? "it drains" : whereIsData(node));
    } catch (error) {
      const { code, message } = error as { code?: number; message: string };
      const isThere = code !== status.UNAVAILABLE && node.client!.isConnected();
      see(!isThere, isThere ? "it is taken to have this stage's base_dir" : message);
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

/** For the log, where a node begins to work. */
export function whereIsData({ sharesBase }: Pick<ProverNode, "sharesBase">): string {
  return sharesBase
    ? "its base_dir is this stage's"
    : "its base_dir is not this stage's, so its data travels over gRPC";
}
