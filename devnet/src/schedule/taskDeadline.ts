import type { TaskFailure } from "gevulot-sdk";
import { readImageDefaults } from "../image/imageDefaults.ts";
import { firstDeadline, type TaskDeadline } from "../result/firstDeadline.ts";
import type { Queryable } from "../store/database.ts";
import { readRunTimeLeft } from "../store/runDeadlines.ts";

/** How long a task that begins now may take: by its node, its program's image, and its Run's sender. */
export async function taskDeadline(
  database: Queryable,
  limits: { readonly run: string; readonly imagePath: string; readonly nodeMs: number },
): Promise<TaskDeadline & { readonly runEndsAtMs?: number }> {
  const [runLeftMs, programSeconds] = await Promise.all([
    readRunTimeLeft(database, limits.run),
    // What is wrong with an image, the provider says.
    readImageDefaults(limits.imagePath).then(
      (defaults) => defaults.deadlineSeconds,
      () => null,
    ),
  ]);
  const first = firstDeadline({ nodeMs: limits.nodeMs, programSeconds, runLeftMs });
  return runLeftMs === null ? first : { ...first, runEndsAtMs: performance.now() + runLeftMs };
}

/** What a Run comes to that has not begun, or not gone on, when its deadline passes. */
export function runTooLate(): Omit<TaskFailure, "step"> {
  const message = "The Run's deadline passed before the task was begun.";
  return { code: "DEADLINE", message, exitCode: null, signal: null, consoleTail: "" };
}
