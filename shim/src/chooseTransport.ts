import { GevulotShimError } from "./errors.ts";
import { createFileTransport } from "./fileTransport.ts";
import type { Transport, TransportName } from "./transport.ts";
import { createVsockTransport, findVsock } from "./vsock/vsockTransport.ts";
import type { Workspace } from "./workspace.ts";

/** How long a virtual machine's workspace may take to be mounted. */
const VM_WAIT_MS = 30_000;

/** What `GEVULOT_TRANSPORT` says; null: VSOCK if the node answers there, else files. */
export function parseTransport(text: string | undefined): TransportName | null {
  if (text === undefined || text === "" || text === "auto") return null;
  if (text === "vsock" || text === "files") return text;
  throw new GevulotShimError(
    "TRANSPORT_INVALID",
    `GEVULOT_TRANSPORT is ${JSON.stringify(text)}: give vsock, files or auto`,
  );
}

/**
 * Finds how this program is to be given its task.
 * @throws GevulotShimError NO_TASK where only VSOCK is wanted and there is none
 */
export async function chooseTransport(
  workspace: Workspace,
  wanted: TransportName | null,
  options: { readonly inHostProcess: boolean },
): Promise<Transport> {
  const files = createFileTransport(workspace, { waitMs: options.inHostProcess ? 0 : VM_WAIT_MS });
  if (wanted === "files" || (wanted === null && options.inHostProcess)) return files;
  const vsock = findVsock();
  let reason: string;
  if ("reason" in vsock) reason = vsock.reason;
  else {
    try {
      return await createVsockTransport({ workspace, connect: vsock.connect });
    } catch (error) {
      reason = (error as Error).message;
    }
  }
  if (wanted === null) return files;
  throw new GevulotShimError("NO_TASK", `GEVULOT_TRANSPORT=vsock, but there is no VSOCK: ${reason}`);
}
