import type { Duplex } from "node:stream";
import { GevulotError } from "gevulot-sdk";
import { createLineDecoder } from "./lineDecoder.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    QMP_FAILED: { command: string; reason: "closed" | "timeout" | "refused" | "aborted" };
  }
}

export interface QmpEvent {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** QEMU's control connection (QMP). */
export interface QmpClient extends Disposable {
  /** @throws GevulotError `QMP_FAILED` */
  execute(
    command: string,
    args?: Record<string, unknown>,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<unknown>;
}

export interface QmpClientOptions {
  /** For each command, unless told otherwise. Default 5,000. */
  readonly timeoutMs?: number;
  readonly onEvent?: (event: QmpEvent) => void;
}

const TIMEOUT_MS = 5_000;
const MAX_LINE_BYTES = 2 ** 20;
const MAX_PENDING = 64;

type Failure = "closed" | "timeout" | "refused" | "aborted";

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly fail: (reason: Failure, detail: string) => void;
}

/**
 * Speaks QMP over a connected socket. Commands wait by themselves until QEMU has greeted, within their own time;
 * answers are told apart by id.
 */
export function createQmpClient(socket: Duplex, options: QmpClientOptions = {}): QmpClient {
  const pending = new Map<string, Pending>();
  let lastId = 0;
  let isClosed = false;

  const send = (
    command: string,
    args: Record<string, unknown>,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<unknown> => {
    const id = String(++lastId);
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        pending.delete(id);
      };
      const fail = (reason: Failure, detail: string): void => {
        settle();
        reject(qmpFailed(command, reason, detail));
      };
      const onAbort = (): void => fail("aborted", "it was aborted");
      const timer = setTimeout(() => fail("timeout", `no answer within ${timeoutMs / 1_000} s`), timeoutMs);
      pending.set(id, {
        resolve: (value) => {
          settle();
          resolve(value);
        },
        fail,
      });
      if (signal?.aborted) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      if (isClosed) return fail("closed", "the connection is closed");
      if (pending.size > MAX_PENDING) return fail("refused", `${MAX_PENDING} commands wait already`);
      socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    });
  };

  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const close = (): void => {
    isClosed = true;
    for (const { fail } of [...pending.values()]) fail("closed", "QEMU closed the connection");
  };
  const decoder = createLineDecoder({ maxLineBytes: MAX_LINE_BYTES });
  const onData = (chunk: Buffer): void => {
    for (const line of decoder.push(chunk)) dispatch(line, pending, options.onEvent);
  };
  socket.on("data", onData);
  for (const event of ["end", "close", "error"]) socket.once(event, close);
  // Nothing else is answered before this one. That it fails, the first real command tells.
  send("qmp_capabilities", {}, timeoutMs).catch(() => {});

  return {
    execute: (command, args = {}, more = {}) => send(command, args, more.timeoutMs ?? timeoutMs, more.signal),
    [Symbol.dispose]() {
      socket.off("data", onData);
      close();
    },
  };
}

function dispatch(
  line: string,
  pending: ReadonlyMap<string, Pending>,
  onEvent: QmpClientOptions["onEvent"],
): void {
  let message: Record<string, unknown>;
  try {
    message = Object(JSON.parse(line));
  } catch {
    return;
  }
  if (typeof message.event === "string") {
    onEvent?.({ event: message.event, data: Object(message.data ?? {}) });
    return;
  }
  const waiting = pending.get(String(message.id));
  const { error } = message as { error?: { desc?: unknown } };
  if (error !== undefined) waiting?.fail("refused", String(error?.desc ?? "QEMU refused it"));
  else waiting?.resolve(message.return);
}

function qmpFailed(command: string, reason: Failure, detail: string): GevulotError<"QMP_FAILED"> {
  const message = `QEMU's control connection: ${command} failed: ${detail}. If QEMU still runs, stop the task and run it again.`;
  return new GevulotError("QMP_FAILED", message, { context: { command, reason } });
}
