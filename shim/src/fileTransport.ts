import { readTaskFile, writeFailure, writeSuccess } from "./taskFiles.ts";
import type { Transport } from "./transport.ts";
import type { Workspace } from "./workspace.ts";

/** Task and result as files of the workspace (protocol section 9). */
export function createFileTransport(workspace: Workspace, options: { readonly waitMs: number }): Transport {
  return {
    nextTask: () => readTaskFile(workspace, options.waitMs),
    async succeed(task, result) {
      writeSuccess(workspace, { id: task.id, ...result });
      return false;
    },
    async fail(_task, text) {
      writeFailure(workspace, text);
    },
  };
}
