import { GevulotError } from "gevulot-sdk";
import {
  parseTransaction,
  parseWireHash,
  rpcTransactionToWire,
  toRpcTransaction,
  transactionTreeToWire,
} from "gevulot-sdk/protocol";
import type { Intake } from "../intake/intake.ts";
import type { Database } from "../store/database.ts";
import { readRunStatus } from "../store/readRunStatus.ts";
import { findRun, readTransaction, readTree } from "../store/readTransactions.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TX_UNKNOWN: { hash: string };
  }
}

export interface MethodDeps {
  readonly database: Database;
  readonly intake: Intake;
  /** `host:port` of this node's file server, for the URLs of output files. */
  readonly rpcHost: string;
}

/** A method takes its one positional parameter, parsed, and gives the wire form of what follows `Ok`. */
export interface Method<P = unknown> {
  /** Throws `WIRE_VALUE_INVALID`, which becomes JSON-RPC's -32602. */
  readonly parse: (parameter: unknown) => P;
  readonly run: (parameter: P) => Promise<unknown>;
}

/** The methods of protocol section 5, and ours: `getRunStatus`. */
export function createMethods(deps: MethodDeps): Record<string, Method> {
  const { database, intake, rpcHost } = deps;
  const method = <P>(parse: (parameter: unknown) => P, run: (parameter: P) => Promise<unknown>): Method =>
    ({ parse, run }) as Method;

  return {
    sendTransaction: method(parseTransaction, async (tx) => {
      await intake.accept(tx);
      return null;
    }),
    getTransaction: method(parseWireHash, async (hash) => {
      const tx = await readTransaction(database, hash);
      if (tx === null) throw unknown(hash, "transaction");
      return rpcTransactionToWire(toRpcTransaction(tx, { rpcHost }));
    }),
    getTransactionTree: method(parseWireHash, async (hash) => {
      const run = await findRun(database, hash);
      if (run === null) throw unknown(hash, "Run, Proof or Verification");
      return transactionTreeToWire(await readTree(database, run));
    }),
    getRunStatus: method(parseWireHash, async (hash) => {
      const status = await readRunStatus(database, hash);
      if (status === null) throw unknown(hash, "Run");
      return status;
    }),
  };
}

function unknown(hash: string, what: string): GevulotError {
  return new GevulotError("TX_UNKNOWN", `No ${what} with the hash ${hash} is stored on this node.`, {
    context: { hash },
  });
}
