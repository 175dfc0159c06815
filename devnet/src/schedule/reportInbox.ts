import { GevulotError } from "gevulot-sdk";
import type { VerifyDeps } from "gevulot-sdk/protocol";
import type { ReceiveVerdict } from "../p2p/peerNetwork.ts";
import type { Database } from "../store/database.ts";
import { unsettle } from "../store/sharedRuns.ts";
import { missingFor, reportId, storeReport } from "../store/taskReports.ts";
import { openReport } from "./taskReport.ts";
import { createWaitingRoom } from "./waitingRoom.ts";

/** Takes in what other nodes report of their tasks. */
export interface ReportInbox {
  /** Rejects with `PEER_FAULT` where the report is not its node's. */
  receive(bytes: Uint8Array, peer: string): Promise<ReceiveVerdict>;
  /** Takes up the reports that came before their Run, or before their node was known: its hash, or key, is given. */
  known(what: string): void;
}

export interface ReportInboxDeps {
  readonly database: Database;
  readonly crypto?: VerifyDeps;
  readonly onRunChanged: (run: string) => void;
  /** A report that had to wait was kept. */
  readonly onTakenUp?: (bytes: Uint8Array) => void;
}

const ROOM = { maxItems: 1_000, maxBytes: 8 * 2 ** 20, maxAgeMs: 3_600_000, now: Date.now };

export function createReportInbox(deps: ReportInboxDeps): ReportInbox {
  const { database, onRunChanged, onTakenUp } = deps;
  const room = createWaitingRoom<Uint8Array>(ROOM);

  const receive = async (bytes: Uint8Array, peer: string): Promise<ReceiveVerdict> => {
    const report = open(bytes, deps.crypto);
    const { run } = report;
    const stored = await database.transaction(async (client) => {
      const result = await storeReport(client, { ...report, bytes });
      // What is settled may be open again: a Proof was rejected, or a verifier failed.
      if (result === "stored") await unsettle(client, run);
      return result;
    });
    if (stored === "stored") {
      onRunChanged(run);
      return "taken";
    }
    if (stored === "old") return "known";
    const { missing } = stored;
    const about = { key: reportId(bytes), needs: missing, sender: peer, bytes: bytes.length };
    if (!room.add(bytes, about)) return "refused";
    // It may have come while we looked.
    if ((await missingFor(database, report)) !== missing) known(missing);
    return "waiting";
  };
  const takeUp = async (bytes: Uint8Array, peer: string): Promise<void> => {
    if ((await receive(bytes, peer)) === "taken") onTakenUp?.(bytes);
  };
  const known = (what: string): void => {
    for (const { item, sender } of room.take(what)) takeUp(item, sender).catch(() => {});
  };

  return { receive, known };
}

function open(bytes: Uint8Array, crypto: VerifyDeps | undefined) {
  try {
    return openReport(bytes, crypto);
  } catch (cause) {
    if (!(cause instanceof GevulotError)) throw cause;
    const reason = "it sent a task report that is malformed or not its node's";
    throw new GevulotError("PEER_FAULT", `The peer is dropped: ${reason}.`, { context: { reason }, cause });
  }
}
