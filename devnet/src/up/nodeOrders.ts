import type { ChildProcess } from "node:child_process";
import { GevulotError } from "gevulot-sdk";
import type { FaultSettings } from "../faults/nodeFaults.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    NODE_ORDER_FAILED: { order: string };
  }
}

/**
 * What a devnet has a node of its own do, over the channel between the two processes: nobody else has it, and no option
 * or variable leads to it.
 */
export type NodeOrder =
  /** Stops everything and lets go of the database; tasks that run are given back to the queue. */
  | { readonly kind: "suspend" }
  /** Begins anew from what the database holds, on the same ports. */
  | { readonly kind: "resume" }
  /** What is to go wrong with it from now on. */
  | { readonly kind: "faults"; readonly faults: FaultSettings };

interface OrderMessage {
  readonly type: "order";
  readonly id: number;
  readonly order: NodeOrder;
}

interface OrderDone {
  readonly type: "orderDone";
  readonly id: number;
  readonly error: string | null;
}

const ORDER_TIMEOUT_MS = 30_000;

/** The parent's end of the channel. */
export interface OrderChannel {
  /** Resolves when it is done. Throws `NODE_ORDER_FAILED`. */
  order(order: NodeOrder): Promise<void>;
}

/** @param gone resolves when the node's process has ended */
export function createOrderChannel(child: ChildProcess, gone: Promise<void>): OrderChannel {
  const waiting = new Map<number, (error: string | null) => void>();
  let nextId = 1;
  child.on("message", (message: Partial<OrderDone>) => {
    if (message.type === "orderDone") waiting.get(message.id ?? 0)?.(message.error ?? null);
  });
  gone.then(() => {
    for (const end of waiting.values()) end("its process ended");
  });
  return {
    async order(order) {
      const id = nextId++;
      const late = `it did not within ${ORDER_TIMEOUT_MS / 1_000} s`;
      const error = await new Promise<string | null>((resolve) => {
        const timer = setTimeout(() => resolve(late), ORDER_TIMEOUT_MS);
        waiting.set(id, (reason) => {
          clearTimeout(timer);
          resolve(reason);
        });
        child.send({ type: "order", id, order } satisfies OrderMessage, (failure) => {
          if (failure) waiting.get(id)?.(failure.message);
        });
      });
      waiting.delete(id);
      if (error === null) return;
      throw new GevulotError(
        "NODE_ORDER_FAILED",
        `A node of the devnet was to ${order.kind}, and failed: ${error}. Its log has more; start the devnet again.`,
        { context: { order: order.kind } },
      );
    },
  };
}

/** The node's end: one order after the other. Without a parent that speaks this there are none. */
export function serveOrders(obey: (order: NodeOrder) => Promise<void>): void {
  let turn: Promise<void> = Promise.resolve();
  process.on("message", (message: Partial<OrderMessage>) => {
    const { type, id, order } = message;
    if (type !== "order" || id === undefined || order === undefined) return;
    turn = turn.then(async () => {
      const error = await obey(order).then(
        () => null,
        (reason: unknown) => (reason instanceof Error ? reason.message : String(reason)),
      );
      if (process.connected) process.send?.({ type: "orderDone", id, error } satisfies OrderDone);
    });
  });
}
