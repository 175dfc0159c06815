import { access, cp, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { GevulotError, type TaskFailure } from "gevulot-sdk";
import type { Logger } from "pino";
import { z } from "zod";
import { removeTree } from "../../removeTree.ts";
import { type AloneFacts, type AloneOptions, RESULT_FILE, runAloneVm, writeResult } from "./aloneVm.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    TASK_FILE_INVALID: { readonly path: string; readonly reason: string };
  }
}

export interface RunAloneOptions extends AloneOptions {
  /** Protocol section 9; default `task.json` of the workspace. */
  readonly taskPath?: string | undefined;
  /** Holds the input files; gets `task_result.json` and the output files. */
  readonly workspaceDir: string;
}

export interface AloneResult extends AloneFacts {
  readonly consoleTail: string;
  /** Null where the program gave a result. */
  readonly failure: TaskFailure | null;
  readonly dataBytes: number;
  readonly files: readonly { readonly vmPath: string; readonly checksum: string }[];
}

/** Where programs find the workspace. */
const MOUNT = "/workspace/";

const taskSchema = z.object({ id: z.string(), args: z.array(z.string()), files: z.array(z.string()) });

/**
 * Runs one task without a node: the program gets a copy of the workspace, and what it hands back is checked as a node
 * does it and put into the workspace. The result of an earlier run is replaced.
 *
 * @throws GevulotError `TASK_FILE_INVALID`, and those of `runAloneVm`
 */
export async function runAlone(
  deps: { readonly log: Logger },
  options: RunAloneOptions,
): Promise<AloneResult> {
  const { workspaceDir } = options;
  const task = await readTask(options.taskPath ?? join(workspaceDir, "task.json"));
  await requireFiles(task.files, workspaceDir);
  await mkdir(workspaceDir, { recursive: true });
  const fill = async (workspace: string): Promise<void> => {
    // A link would lead nowhere in the VM.
    await cp(workspaceDir, workspace, { recursive: true, dereference: true });
    await removeTree(join(workspace, RESULT_FILE));
  };
  await using vm = await runAloneVm(deps, { ...options, task, fill });
  const { facts, consoleTail, result } = vm;
  await writeResult(workspaceDir, task.id, result);
  if ("failure" in result) return { ...facts, consoleTail, failure: result.failure, dataBytes: 0, files: [] };
  const files = result.files.map(({ vmPath, checksum }) => ({ vmPath, checksum }));
  return { ...facts, consoleTail, failure: null, dataBytes: result.data.length, files };
}

/** A node would not start the task either. */
async function requireFiles(files: readonly string[], workspaceDir: string): Promise<void> {
  for (const vmPath of files) {
    if (!vmPath.startsWith(MOUNT)) continue;
    const path = join(workspaceDir, vmPath.slice(MOUNT.length));
    try {
      await access(path);
    } catch (cause) {
      throw new GevulotError(
        "TASK_FILE_INVALID",
        `The task's file ${vmPath} is not there. Put it into ${path}, or take it out of the task's files.`,
        { context: { path, reason: "missing" }, cause },
      );
    }
  }
}

async function readTask(path: string): Promise<z.infer<typeof taskSchema>> {
  try {
    return taskSchema.parse(JSON.parse(await readFile(path, "utf8")));
  } catch (cause) {
    const issue = cause instanceof z.ZodError ? cause.issues[0] : undefined;
    const reason = issue ? `${issue.path.join(".")}: ${issue.message}` : (cause as Error).message;
    throw new GevulotError(
      "TASK_FILE_INVALID",
      `The task ${path} can't be used (${reason}). Write {"id": "…", "args": ["…"], "files": ["/workspace/…"]}.`,
      { context: { path, reason }, cause },
    );
  }
}
