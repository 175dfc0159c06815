import { GevulotError } from "gevulot-sdk";
import type { Database } from "../store/database.ts";
import { readRunStatus } from "../store/readRunStatus.ts";
import type { Verified } from "./stages.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    RUN_ENDED: { run: string; state: "complete" | "failed" };
  }
}

const OPEN = new Set(["queued", "running"]);

/**
 * Refuses the Cancel of a Run that has ended, so that its sender learns it. Not from peers: elsewhere it may not have
 * ended yet. A Run that is complete while nodes still work on it can be cancelled.
 *
 * @throws GevulotError `RUN_ENDED`
 */
export async function requireOpenRun(database: Database, { payload }: Verified): Promise<void> {
  if (payload.kind !== "cancel") return;
  const run = payload.parent;
  // Whose tasks they are makes no difference.
  const status = await readRunStatus(database, run, "");
  if (status?.state !== "complete" && status?.state !== "failed") return;
  if (status.tasks.some(({ state }) => OPEN.has(state))) return;
  const { state, failure } = status;
  const how = failure === null ? "it is complete" : `it failed, ${failure.code}`;
  throw new GevulotError(
    "RUN_ENDED",
    `The Run ${run} has ended already: ${how}. There is nothing to cancel; its results are as they are.`,
    { context: { run, state } },
  );
}
