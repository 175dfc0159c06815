import { timingSafeEqual } from "node:crypto";
import { GevulotError } from "gevulot-sdk";
import { encodeTransaction, type Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { FileFetcher } from "../files/fetchFile.ts";
import type { FileLayout } from "../files/layout.ts";
import type { Database, Queryable } from "../store/database.ts";
import { createBatchedLoader } from "../store/loadBatched.ts";
import { readDeployedPrograms, readManyTransactionBytes } from "../store/readTransactions.ts";
import type { AccessList } from "./accessList.ts";
import { fetchFiles } from "./fetchFiles.ts";
import { createGroupCommit, type GroupCommitOptions } from "./groupCommit.ts";
import { createNativeCrypto } from "./nativeCrypto.ts";
import { requireParents } from "./requireParents.ts";
import { verify } from "./verify.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    INTAKE_BUSY: { waiting: number };
  }
}

/** How many transactions may be under way at once; each may hold a download. */
const MAX_UNDER_WAY = 1_024;
/** How many look-ups share a query. */
const MAX_LOOKUP = 256;

export interface Intake {
  /**
   * Verifies a transaction, fetches its files and stores it; resolves when it is stored. One that is stored or
   * under way already is not done again: it gets the answer of the first.
   */
  accept(tx: Transaction, options?: AcceptOptions): Promise<void>;
}

export interface AcceptOptions {
  readonly signal?: AbortSignal;
  /** Runs in the commit that stores the transaction; not at all where it is stored already. */
  readonly alsoCommit?: (client: Queryable) => Promise<void>;
}

export interface IntakeDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly layout: FileLayout;
  readonly files: FileFetcher;
  /** Who may send; without it everybody. */
  readonly access?: Pick<AccessList, "require">;
  /** Called after the commit of a transaction that is new here. */
  readonly onStored: (tx: Transaction) => void;
}

/** `execute`: whether this node runs tasks. */
export type IntakeOptions = GroupCommitOptions;

export function createIntake(deps: IntakeDeps, intakeOptions: IntakeOptions): Intake {
  const { database } = deps;
  const underWay = new Map<string, Promise<void>>();
  const crypto = createNativeCrypto();
  const commits = createGroupCommit(database, intakeOptions);
  // Results and cancels don't wait behind a group that has trouble. They make no rows that others make, too.
  const urgentCommits = createGroupCommit(database, intakeOptions);
  const limits = { maxKeys: MAX_LOOKUP };
  const storedBytes = createBatchedLoader((hashes) => readManyTransactionBytes(database, hashes), limits);
  const deployed = createBatchedLoader((hashes) => readDeployedPrograms(database, hashes), limits);
  const parents = { database, isDeployed: async (program: string) => (await deployed(program)) === true };

  const accept = async (tx: Transaction, options: AcceptOptions): Promise<void> => {
    const stored = await storedBytes(tx.hash);
    if (stored !== null && sameBytes(stored, encodeTransaction(tx))) return;
    const verified = verify(tx, crypto);
    if (stored !== null) {
      // Lengths and resources are not hashed, so two contents can carry one hash: the first stored wins.
      deps.log.warn({ tx: tx.hash }, "a different transaction with the hash of a stored one was left out");
      return;
    }
    await deps.access?.require(verified);
    await requireParents(parents, verified);
    const fetched = await fetchFiles(deps, verified, options);
    const isUrgent = options.alsoCommit !== undefined || tx.payload.kind === "cancel";
    if (await (isUrgent ? urgentCommits : commits).store(fetched, options.alsoCommit)) {
      deps.log.info(
        { tx: tx.hash, kind: tx.payload.kind, author: tx.author.slice(0, 16) },
        "transaction stored",
      );
      deps.onStored(tx);
    }
  };

  return {
    accept(tx, options = {}) {
      // The signature is part of the key: a forged copy must not share the fate of the true one.
      const key = `${tx.hash}${tx.signature}`;
      const first = underWay.get(key);
      if (first) return first;
      // This node's own results are work done: strangers must not crowd them out.
      if (underWay.size >= MAX_UNDER_WAY && !options.alsoCommit) {
        return Promise.reject(
          new GevulotError(
            "INTAKE_BUSY",
            `The node is busy: ${underWay.size} transactions are under way. Send it again in a moment.`,
            { context: { waiting: underWay.size } },
          ),
        );
      }
      const work = accept(tx, options).finally(() => underWay.delete(key));
      underWay.set(key, work);
      return work;
    },
  };
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
