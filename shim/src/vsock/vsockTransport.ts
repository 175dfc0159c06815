import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { checksumFile } from "../checksumFile.ts";
import { GevulotShimError } from "../errors.ts";
import { RESULT_FILE, writeFailure } from "../taskFiles.ts";
import type { Transport } from "../transport.ts";
import type { Workspace } from "../workspace.ts";
import { createGrpcClient } from "./grpcClient.ts";
import { loadKoffi } from "./loadKoffi.ts";
import {
  decodeResultResponse,
  decodeTaskResponse,
  encodeResult,
  GET_TASK,
  type ResultMessage,
  SUBMIT_RESULT,
  type TaskResponse,
} from "./messages.ts";
import { CID_HOST, createVsockLibc, TASK_PORT } from "./vsockLibc.ts";
import { socketOf } from "./vsockSocket.ts";

export interface VsockTransportDeps {
  readonly workspace: Workspace;
  /** A new connection to the node. */
  readonly connect: () => Socket;
  readonly pollMs?: number;
}

/** For a host that listens, to answer: generous, as without KVM loading HTTP/2 alone takes half a second. */
const ANSWER_TIMEOUT_MS = 10_000;
/** A large proof is sent in one message. */
const SUBMIT_TIMEOUT_MS = 120_000;
const SUBMIT_TRIES = 3;
/** The protocol: no task yet, ask again after a second. */
const POLL_MS = 1_000;
const VSOCK_DEVICE = "/dev/vsock";

/** Connects to the node, or says why there is no way. */
export function findVsock(): { readonly connect: () => Socket } | { readonly reason: string } {
  if (!existsSync(VSOCK_DEVICE)) return { reason: `this machine has no ${VSOCK_DEVICE}` };
  const koffi = loadKoffi();
  if (koffi === null) return { reason: "the image has no koffi: build it again with this release" };
  const libc = createVsockLibc(koffi);
  return { connect: () => socketOf(libc.connect(CID_HOST, TASK_PORT)) };
}

/**
 * Task and result over VSOCK (protocol section 8). Each call has a connection of its own: a proof may take hours, in
 * which a connection may be lost, and the node tells the machine by its address.
 *
 * @throws Error where the node does not answer; it is asked for the first task.
 */
export async function createVsockTransport(deps: VsockTransportDeps): Promise<Transport> {
  const { workspace, pollMs = POLL_MS } = deps;
  const call = async (path: string, message: Uint8Array, timeoutMs: number): Promise<Buffer> => {
    const client = createGrpcClient(deps.connect());
    try {
      return await client.call(path, message, timeoutMs);
    } finally {
      client.close();
    }
  };
  const askForTask = async (): Promise<TaskResponse> =>
    decodeTaskResponse(await call(GET_TASK, new Uint8Array(), ANSWER_TIMEOUT_MS));
  let answer: TaskResponse | null = await askForTask();
  return {
    async nextTask() {
      for (;;) {
        const response = answer ?? (await retry(SUBMIT_TRIES, pollMs, askForTask, "NO_TASK"));
        answer = null;
        if (response.kind === "task") {
          const { txHash: id, args, files } = response.task;
          return { id, args, files };
        }
        if (response.error === "Failed")
          throw new GevulotShimError("NO_TASK", "the node has no task for this virtual machine");
        await delay(pollMs);
      }
    },
    async succeed(task, { data, files }) {
      const checked: { path: string; checksum: Uint8Array }[] = [];
      for (const path of files)
        checked.push({ path, checksum: await checksumFile(workspace.toReal(path) ?? path) });
      return submit({ txHash: task.id, result: { kind: "task", data, files: checked } });
    },
    async fail(task, text) {
      // The wire has no room for the reason; the node looks for it here.
      if (!existsSync(`${workspace.path}/${RESULT_FILE}`)) writeFailure(workspace, text);
      if (task !== null) await submit({ txHash: task.id, result: { kind: "error", error: "Failed" } });
    },
  };

  async function submit(message: ResultMessage): Promise<boolean> {
    const bytes = encodeResult(message);
    const send = () => call(SUBMIT_RESULT, bytes, SUBMIT_TIMEOUT_MS);
    return decodeResultResponse(await retry(SUBMIT_TRIES, pollMs, send, "RESULT_NOT_SENT"));
  }
}

async function retry<T>(
  tries: number,
  pauseMs: number,
  work: () => Promise<T>,
  code: "NO_TASK" | "RESULT_NOT_SENT",
): Promise<T> {
  for (let left = tries - 1; ; left--) {
    try {
      return await work();
    } catch (cause) {
      if (left === 0) {
        const message = `the node can't be reached over VSOCK: ${(cause as Error).message}`;
        throw new GevulotShimError(code, message, cause);
      }
      await delay(pauseMs);
    }
  }
}
