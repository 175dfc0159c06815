import type { Logger } from "pino";
import type { DisposeStack } from "../../disposeStack.ts";
import type { VmTask } from "../provider.ts";
import { createTaskServer } from "./taskServer.ts";
import type { VsockDevice, VsockHost } from "./vsockHost.ts";

/** One VM's way to the node, or why it has none. */
export type TaskVsock =
  | { readonly device: VsockDevice; readonly problem: null }
  | { readonly device: null; readonly problem: string };

/** Never fails: where there is none, or where it fails this time, the task travels as a file. */
export async function openTaskVsock(
  stack: DisposeStack,
  log: Logger,
  vsock: VsockHost,
  task: Pick<VmTask, "attemptId" | "exchange"> & { readonly mark: string; readonly signal: AbortSignal },
): Promise<TaskVsock> {
  if (vsock.kind === "none" || task.exchange === undefined) return { device: null, problem: vsock.detail };
  const server = createTaskServer(task.exchange);
  stack.defer(() => server[Symbol.dispose]());
  try {
    return {
      device: stack.use(await vsock.open({ server, mark: task.mark, signal: task.signal })),
      problem: null,
    };
  } catch (error) {
    const reason = (error as Error).message;
    if (!task.signal.aborted)
      log.warn({ attempt: task.attemptId, reason }, "a VM has no VSOCK; its task travels as a file");
    return { device: null, problem: reason };
  }
}

/** Of a program that takes its task in no other way. */
export function lacksVsock({ problem }: TaskVsock): string {
  return `its program takes tasks over VSOCK alone, which is not to be had here: ${problem}.`;
}
