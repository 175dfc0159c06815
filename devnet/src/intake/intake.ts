import { GevulotError, isGevulotError } from "gevulot-sdk";
import { encodeTransaction, type Transaction } from "gevulot-sdk/protocol";
import type { Logger } from "pino";
import type { FileFetcher } from "../files/fetchFile.ts";
import type { FileLayout } from "../files/layout.ts";
import type { ReceiveVerdict } from "../p2p/peerNetwork.ts";
import { createWaitingRoom, type WaitingRoom } from "../schedule/waitingRoom.ts";
import type { Database, Queryable } from "../store/database.ts";
import { createBatchedLoader } from "../store/loadBatched.ts";
import { readDeployedPrograms, readTransactionBytes } from "../store/readTransactions.ts";
import { insertRunDeadline } from "../store/runDeadlines.ts";
import type { AccessList } from "./accessList.ts";
import { createTransactionCheck, isSameTransaction, MAX_LOOKUP } from "./checkTransaction.ts";
import { fetchFiles, hasFiles } from "./fetchFiles.ts";
import { createFileRetries } from "./fileRetries.ts";
import { createGroupCommit, type GroupCommitOptions } from "./groupCommit.ts";
import { createIntakeClock, type IntakeClock, type IntakeTimes } from "./intakeClock.ts";
import { requireImages } from "./requireImages.ts";
import { requireOpenRun } from "./requireOpenRun.ts";
import { requireParents } from "./requireParents.ts";
import type { Verified } from "./stages.ts";
import { createUnderWay } from "./underWay.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    INTAKE_BUSY: { waiting: number };
  }
}

/** How many transactions may be under way at once; each may hold a download. */
const MAX_UNDER_WAY = 1_024;

/** Its end: files of peers' transactions are asked for no more. */
export interface Intake extends Disposable {
  /**
   * Verifies a transaction, fetches its files and stores it; resolves when it is stored. One that is stored or
   * under way already is not done again: it gets the answer of the first.
   */
  accept(tx: Transaction, options?: AcceptOptions): Promise<void>;
  /**
   * As `accept`, for a transaction from a peer: what refers to something unknown waits for it, and files are fetched
   * after the answer, more than once where nobody gives them. Rejects with `PEER_FAULT` where the transaction is not its author's.
   *
   * @param peer names the sender: each has its share of the room
   */
  receive(tx: Transaction, peer: string): Promise<ReceiveVerdict>;
}

export interface AcceptOptions {
  readonly signal?: AbortSignal;
  /** Runs in the commit that stores the transaction; not at all where it is stored already. */
  readonly alsoCommit?: (client: Queryable) => Promise<void>;
  /** Of a Run: it is to have ended so long after it was stored. Not where it is stored already. */
  readonly runDeadlineMs?: number | undefined;
}

/** Where a transaction came from: here are those of clients and of this node itself. */
export type Origin = "here" | "peer";

export interface IntakeDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly layout: FileLayout;
  readonly files: FileFetcher;
  /** Who may send; without it everybody. */
  readonly access?: Pick<AccessList, "require">;
  /** Called after the commit of a transaction that is new here. */
  readonly onStored: (tx: Transaction, origin: Origin) => void;
  /** Called after that: when it came, and passed each stage. */
  readonly onTimed?: (tx: Transaction, times: IntakeTimes) => void;
  /** A Run with a deadline was stored. */
  readonly onDeadline?: () => void;
}

/** `execute`: whether this node runs tasks. */
export interface IntakeOptions extends GroupCommitOptions {
  /** Takes Nanos images whose programs will find no task. Default false. */
  readonly allowUnmountedImages?: boolean;
  /** Refuses Deploys of files that are no images of a kind that runs here. Default false: they are logged. */
  readonly requireImages?: boolean;
  /** How long before each next try for files of a peer's transaction. Default {@link RETRY_DELAYS_MS}. */
  readonly fileRetryDelaysMs?: readonly number[];
}

export function createIntake(deps: IntakeDeps, intakeOptions: IntakeOptions): Intake {
  const { database, log } = deps;
  const underWay = createUnderWay();
  const room = createWaitingRoom<Verified>();
  const { check, store } = createStages(deps, intakeOptions);
  const { parents, isThere } = createLookUp(database);
  const finish = async (verified: Verified, options: AcceptOptions, origin: Origin): Promise<void> => {
    await store(verified, options, origin);
    retries.done(verified.hash);
    for (const known of providedBy(verified)) goOnWith(known);
  };

  const goOnWith = (known: string): void => {
    for (const { item, sender } of room.take(known)) admitAgain(item, sender);
  };

  /** One from a peer that is verified. */
  const admit = async (verified: Verified, peer: string): Promise<ReceiveVerdict> => {
    try {
      await requireParents(parents, verified);
    } catch (error) {
      if (!isGevulotError(error, "TX_PARENT_MISSING")) throw error;
      const { missing } = error.context;
      if (!seat(log, room, verified, { missing, peer })) return "refused";
      // It may have come while we looked.
      if (await isThere(missing)) goOnWith(missing);
      return "waiting";
    }
    if (underWay.count() >= MAX_UNDER_WAY) return "refused";
    const done = underWay.once(verified, () => finish(verified, {}, "peer"));
    if (!hasFiles(verified)) return done.then(() => "taken");
    // A peer must not wait for downloads, nor others behind it.
    done.catch((error: unknown) => {
      if (!retries.add(verified, peer, error)) noteRefused(log, verified, error);
    });
    return "waiting";
  };
  const admitAgain = (tx: Verified, peer: string): void =>
    void admit(tx, peer).catch((error: unknown) => noteRefused(log, tx, error));
  const retries = createFileRetries({ log, retry: admitAgain }, intakeOptions.fileRetryDelaysMs);

  return {
    async accept(tx, options = {}) {
      // This node's own results are work done: strangers must not crowd them out.
      const isFull = underWay.count() >= MAX_UNDER_WAY;
      if (isFull && !options.alsoCommit && !underWay.has(tx)) throw busy(underWay.count());
      await underWay.once(tx, async () => {
        const verified = await check(tx, null);
        if (verified === null) return;
        await deps.access?.require(verified);
        await requireParents(parents, verified);
        await requireOpenRun(database, verified);
        await finish(verified, options, "here");
      });
    },
    async receive(tx, peer) {
      if (underWay.has(tx)) return "known";
      const waits = room.get(tx.hash);
      if (waits && isSameTransaction(waits, tx)) return "waiting";
      try {
        const verified = await check(tx, peer);
        if (verified !== null) await deps.access?.require(verified);
        return verified === null ? "known" : await admit(verified, peer);
      } catch (error) {
        return refuse(log, tx, error);
      }
    },
    [Symbol.dispose]: () => retries[Symbol.dispose](),
  };
}

/** @returns whether there is room for what came before that which it needs. */
function seat(
  log: Logger,
  room: WaitingRoom<Verified>,
  tx: Verified,
  { missing, peer }: { readonly missing: string; readonly peer: string },
): boolean {
  const bytes = encodeTransaction(tx).length;
  const isIn = room.add(tx, { key: tx.hash, needs: missing, sender: peer, bytes });
  log.debug({ tx: tx.hash, missing, peer, isIn }, "a transaction came before what it needs");
  return isIn;
}

function busy(waiting: number): GevulotError {
  return new GevulotError(
    "INTAKE_BUSY",
    `The node is busy: ${waiting} transactions are under way. Send it again in a moment.`,
    { context: { waiting } },
  );
}

/** What others may wait for once the transaction is stored. */
function providedBy({ hash, payload }: Transaction): string[] {
  return payload.kind === "deploy" ? [hash, payload.prover.hash, payload.verifier.hash] : [hash];
}

/** Throws `PEER_FAULT` where the peer is to blame, and what is our own trouble. */
function refuse(log: Logger, tx: Transaction, error: unknown): ReceiveVerdict {
  if (!(error instanceof GevulotError)) throw error;
  if (isForged(error)) throw peerFault(tx, error);
  noteRefused(log, tx, error);
  return "refused";
}

/** Whether it says that a transaction was changed on its way, or signed by another than its author. */
function isForged(error: GevulotError): boolean {
  return (error.context as { verdict?: string }).verdict === "drop";
}

function peerFault(tx: Transaction, cause: GevulotError): GevulotError {
  const reason = `it sent the transaction ${tx.hash}, which is not its author's (${cause.code})`;
  return new GevulotError("PEER_FAULT", `The peer is dropped: ${reason}.`, { context: { reason }, cause });
}

function noteRefused(log: Logger, tx: Transaction, error: unknown): void {
  const { code, message } = error as { code?: string; message?: string };
  log.warn(
    { tx: tx.hash, kind: tx.payload.kind, code, reason: message },
    "a peer's transaction was not taken",
  );
}

/** What is known here: programs by hash, transactions by hash. */
function createLookUp(database: Database) {
  const deployed = createBatchedLoader((hashes) => readDeployedPrograms(database, hashes), {
    maxKeys: MAX_LOOKUP,
  });
  const isDeployed = async (program: string) => (await deployed(program)) === true;
  const isThere = async (hash: string) =>
    (await isDeployed(hash)) || (await readTransactionBytes(database, hash)) !== null;
  return { parents: { database, isDeployed }, isThere };
}

/** The stages around that in which parents are looked for; both note when they were. */
function createStages(deps: IntakeDeps, intakeOptions: IntakeOptions) {
  const clock = createIntakeClock();
  return { check: createTimedCheck(deps, clock), store: createStore(deps, intakeOptions, clock) };
}

function createTimedCheck(deps: IntakeDeps, clock: IntakeClock) {
  const check = createTransactionCheck(deps);
  return async (tx: Transaction, peer: string | null): Promise<Verified | null> => {
    clock.received(tx, peer);
    const verified = await check(tx);
    if (verified !== null) clock.passed(verified, "verified");
    return verified;
  };
}

/** The last two stages: files, then the commit. */
function createStore(deps: IntakeDeps, intakeOptions: IntakeOptions, clock: IntakeClock) {
  const commits = createGroupCommit(deps.database, intakeOptions);
  // Results and cancels don't wait behind a group that has trouble. They make no rows that others make, too.
  const urgentCommits = createGroupCommit(deps.database, intakeOptions);
  return async (verified: Verified, options: AcceptOptions, origin: Origin): Promise<void> => {
    clock.passed(verified, "ready");
    const fetched = await fetchFiles(deps, verified, options);
    clock.passed(verified, "fetched");
    const { allowUnmountedImages = false, requireImages: isStrict = false } = intakeOptions;
    // What others have taken is not refused here.
    const isPeers = origin === "peer";
    const allowed = { unmounted: isPeers || allowUnmountedImages, unusable: isPeers || !isStrict };
    await requireImages(deps, fetched, allowed);
    const { hash, author, payload } = verified;
    const isUrgent = options.alsoCommit !== undefined || payload.kind === "cancel";
    const { runDeadlineMs } = options;
    const alsoCommit =
      runDeadlineMs === undefined
        ? options.alsoCommit
        : (client: Queryable) => insertRunDeadline(client, hash, runDeadlineMs);
    if (!(await (isUrgent ? urgentCommits : commits).store(fetched, alsoCommit))) return;
    clock.passed(verified, "stored");
    deps.log.info(
      { tx: hash, kind: payload.kind, author: author.slice(0, 16), origin },
      "transaction stored",
    );
    deps.onStored(verified, origin);
    if (runDeadlineMs !== undefined) deps.onDeadline?.();
    const times = clock.timesOf(verified);
    if (times !== null) deps.onTimed?.(verified, times);
  };
}
