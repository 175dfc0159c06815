import { closeSync, existsSync, openSync, readFileSync, statSync, unlinkSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GevulotShimError } from "./errors.ts";
import type { TaskRequest } from "./task.ts";
import { HOW_TO_RUN, type Workspace } from "./workspace.ts";

export const TASK_FILE = "task.json";
export const RESULT_FILE = "task_result.json";

const MAX_TASK_BYTES = 16 * 1024 * 1024;
const POLL_MS = 50;
/** So many bytes of a result are turned into text at a time: a number array takes up to four characters a byte. */
const RESULT_CHUNK_BYTES = 64 * 1024;

/**
 * Reads `task.json` (protocol section 9). In a virtual machine whose workspace is mounted while the program starts, waits
 * for it up to `waitMs`.
 * @throws GevulotShimError NO_TASK, TASK_INVALID, RESULT_EXISTS
 */
export async function readTaskFile(workspace: Workspace, waitMs: number): Promise<TaskRequest> {
  const path = join(workspace.path, TASK_FILE);
  const deadline = Date.now() + waitMs;
  while (!existsSync(path)) {
    if (Date.now() >= deadline) {
      const waited = waitMs > 0 ? ` after ${waitMs / 1000} s` : "";
      throw new GevulotShimError(
        "NO_TASK",
        `there is no ${TASK_FILE} in ${workspace.path}${waited}: ${HOW_TO_RUN}`,
      );
    }
    await sleep(POLL_MS);
  }
  // Said before the work and not after it: the result of a long proof would have no place to go.
  if (existsSync(join(workspace.path, RESULT_FILE))) throw resultExists(workspace);
  return parseTask(readText(path));
}

function readText(path: string): string {
  try {
    const { size } = statSync(path);
    if (size > MAX_TASK_BYTES) throw new Error(`it has ${size} bytes, more than ${MAX_TASK_BYTES}`);
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new GevulotShimError(
      "TASK_INVALID",
      `${TASK_FILE} can't be read: ${(cause as Error).message}`,
      cause,
    );
  }
}

function parseTask(text: string): TaskRequest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid(`is not JSON (${(cause as Error).message})`, cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw invalid("is not an object");
  const { id, args, files } = value as Record<string, unknown>;
  if (typeof id !== "string") throw invalid("has no text in its field id");
  if (!isStrings(args)) throw invalid("has no array of texts in its field args");
  if (!isStrings(files)) throw invalid("has no array of texts in its field files");
  return { id, args, files };
}

function invalid(what: string, cause?: unknown): GevulotShimError {
  const shape = '{"id": "…", "args": ["…"], "files": ["/workspace/…"]}';
  return new GevulotShimError("TASK_INVALID", `${TASK_FILE} ${what}: write ${shape}`, cause);
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

export interface TaskSuccess {
  readonly id: string;
  readonly data: Uint8Array;
  /** Paths inside the virtual machine. */
  readonly files: readonly string[];
}

/** Writes the result of a task that succeeded, a chunk at a time, so that a big one needs no more memory than a small one. */
export function writeSuccess(workspace: Workspace, result: TaskSuccess): void {
  createResult(workspace, function* () {
    yield `{"Ok":{"id":${JSON.stringify(result.id)},"data":[`;
    for (let at = 0; at < result.data.length; at += RESULT_CHUNK_BYTES) {
      const chunk = result.data.subarray(at, at + RESULT_CHUNK_BYTES);
      yield `${at === 0 ? "" : ","}${chunk.join(",")}`;
    }
    yield `],"files":${JSON.stringify(result.files)}}}`;
  });
}

export function writeFailure(workspace: Workspace, text: string): void {
  createResult(workspace, function* () {
    yield JSON.stringify({ Err: text });
  });
}

function createResult(workspace: Workspace, chunks: () => Iterable<string>): void {
  const path = join(workspace.path, RESULT_FILE);
  let file: number;
  try {
    file = openSync(path, "wx");
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).code === "EEXIST"
      ? resultExists(workspace)
      : notWritten(path, cause);
  }
  try {
    for (const chunk of chunks()) writeAll(file, Buffer.from(chunk, "utf8"));
    closeSync(file);
  } catch (cause) {
    // Half a result must not be taken for one, and a failure may still fit where it did not.
    unlinkSync(path);
    throw notWritten(path, cause);
  }
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

function resultExists(workspace: Workspace): GevulotShimError {
  const path = join(workspace.path, RESULT_FILE);
  return new GevulotShimError(
    "RESULT_EXISTS",
    `${path} is there already: a task is run once; delete it to run again`,
  );
}

function notWritten(path: string, cause: unknown): GevulotShimError {
  const reason = (cause as Error).message;
  return new GevulotShimError("RESULT_NOT_WRITTEN", `${path} could not be written: ${reason}`, cause);
}
