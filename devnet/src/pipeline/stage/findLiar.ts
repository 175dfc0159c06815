import type { Queryable } from "../../store/database.ts";
import type { BlobStore } from "../data/blobStore.ts";
import { type PipelineTask, readDoneTasks } from "../store/tasks.ts";
import { readCheckable, type VerifyStep } from "./verifyStep.ts";

/** A task whose output is not valid, though the node said that it did it. */
export interface Liar {
  readonly task: PipelineTask;
  readonly reason: string;
}

/**
 * Checks every output of a run, in the order in which they were made, and gives the first that is wrong: all that it was
 * made of is right, so the node that made it is to blame. Where the finished proof is wrong and all the others are right, the
 * split is to blame.
 */
export async function findLiar(
  deps: {
    readonly database: Queryable;
    readonly blobs: BlobStore;
    readonly verify: VerifyStep;
    /** For all checks together: then nobody is named. */
    readonly limitMs: number;
  },
  failed: PipelineTask,
  signal: AbortSignal,
): Promise<Liar | null> {
  const { blobs } = deps;
  const limited = AbortSignal.any([signal, AbortSignal.timeout(deps.limitMs)]);
  const done = await readDoneTasks(deps.database, failed.proofId);
  const made = new Map(done.map((task) => [task.planned.key, task]));
  for (const task of done) {
    if (task.kind === "split" || task.kind === "verify" || task.outputHash === null) continue;
    const inputs = task.planned.needs.flatMap((key) => made.get(key) ?? []);
    const result = await deps.verify(await readCheckable(blobs, task, inputs), limited);
    if (result.kind === "invalid") return { task, reason: result.reason };
    if (result.kind !== "valid") return null;
  }
  // The proof is of the segments, and not of the request.
  const split = failed.kind === "verify" ? done.find((task) => task.kind === "split") : undefined;
  return split
    ? { task: split, reason: "the finished proof is not valid, though every step after the split is" }
    : null;
}
