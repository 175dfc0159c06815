import { isConnectionLoss } from "../store/database.ts";
import { readOpenSharedRuns } from "../store/sharedRuns.ts";
import { type ReporterDeps, reportTasks } from "./reporter.ts";
import { type SettleDeps, type SettleOptions, settleRun } from "./settleRun.ts";
import { createWakeableLoop } from "./wakeableLoop.ts";

export interface Settler extends AsyncDisposable {
  /** Something about the Run was stored. */
  touch(run: string): void;
  /** A node came or went. */
  touchAll(): void;
}

export interface SettlerDeps extends SettleDeps, ReporterDeps {
  /** It may be this node's turn somewhere. */
  readonly onSettled: () => void;
}

/** Time passes for nodes that don't deliver, so all open Runs are looked at now and then. */
const MAX_SWEEP_MS = 5_000;
const SWEEPS_PER_DELIVERY = 4;
/** While no Run is open, whoever stores something of one touches it; this is for what nobody told. */
const IDLE_SWEEP_MS = 60_000;
const PAGE = 500;

/** Decides about shared Runs, and tells the other nodes of this node's tasks, until it is disposed of. */
export function createSettler(deps: SettlerDeps, options: SettleOptions): Settler {
  const stop = new AbortController();
  const touched = new Set<string>();
  const sweepMs = Math.min(MAX_SWEEP_MS, options.deliveryMs / SWEEPS_PER_DELIVERY);
  let nextSweep = 0;

  const settle = async (run: string): Promise<void> => {
    try {
      await settleRun(deps, options, run);
      await reportTasks(deps, run);
    } catch (error) {
      // Whatever it was, it is looked at again.
      touched.add(run);
      throw error;
    }
  };
  const round = async (): Promise<void> => {
    const runs = [...touched];
    for (const run of runs) {
      // Before it is settled, so that what comes meanwhile counts.
      touched.delete(run);
      await settle(run);
    }
    if (runs.length > 0) deps.onSettled();
    // What was touched may be open from now on.
    if (runs.length > 0) nextSweep = Math.min(nextSweep, Date.now() + sweepMs);
    if (Date.now() < nextSweep) return;
    nextSweep = Date.now() + sweepMs;
    let isIdle = true;
    for (let after = ""; !stop.signal.aborted; ) {
      const page = await readOpenSharedRuns(deps.database, after, PAGE);
      for (const run of page) await settle(run);
      if (page.length > 0) deps.onSettled();
      isIdle &&= page.length === 0;
      if (page.length < PAGE) break;
      after = page.at(-1) as string;
    }
    if (isIdle) nextSweep = Date.now() + IDLE_SWEEP_MS;
  };

  const loop = createWakeableLoop(
    () =>
      round().catch((error: unknown) => {
        if (isConnectionLoss(error)) deps.log.warn("the database is away; decisions about Runs wait for it");
        else deps.log.error({ err: error }, "a decision about a Run failed");
      }),
    // What is touched still is what failed.
    {
      intervalMs: () => (touched.size > 0 ? sweepMs : Math.max(sweepMs, nextSweep - Date.now())),
      signal: stop.signal,
    },
  );
  return {
    touch(run) {
      touched.add(run);
      loop.wake();
    },
    touchAll() {
      nextSweep = 0;
      loop.wake();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await loop.ended;
    },
  };
}
