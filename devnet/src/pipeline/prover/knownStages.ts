import type { Interceptor } from "@grpc/grpc-js";
import { sendNodeToken } from "../wire/nodeToken.ts";
import { reachableAddr } from "./reachableAddr.ts";

/** The stages that a node trusts: those that it was given, at their own addresses and where they say that their data is. */
export interface KnownStages {
  /** @param peer `address:port` of the connection on which the stage said it */
  announce(stageAddr: string, dataAddr: string, peer: string): void;
  has(addr: string): boolean;
  /** Whoever calls a node names an address for data; its token is for its stages alone. */
  sendToken(addr: string): Interceptor[];
}

export function createKnownStages(stageAddrs: readonly string[], token?: string): KnownStages {
  /** What each announced last. */
  const announced = new Map<string, string>();
  const has = (addr: string): boolean => stageAddrs.includes(addr) || [...announced.values()].includes(addr);
  return {
    announce(stageAddr, dataAddr, peer) {
      announced.set(stageAddr, reachableAddr(dataAddr, { stageAddrs: [], peer }));
    },
    has,
    sendToken: (addr) => sendNodeToken(token, () => has(addr)),
  };
}
