import type { Duplex } from "node:stream";
import { createConsoleSink } from "./consoleSink.ts";
import type { VmEvidence } from "./evidence.ts";
import { type GuestMessage, MAX_GUEST_LINE_BYTES, parseGuestMessage } from "./guestMessage.ts";
import { createLineDecoder } from "./lineDecoder.ts";
import { startProcessGroup } from "./processGroup.ts";
import type { VmTask } from "./provider.ts";
import { createQmpClient } from "./qmpClient.ts";
import { createRingBuffer } from "./ringBuffer.ts";
import type { ProcessEnd } from "./vmState.ts";

/** A running QEMU with its three sockets: console, control channel, QMP. Disposed of, it is stopped. */
export interface QemuProcess extends AsyncDisposable {
  readonly pid: number;
  readonly ended: Promise<ProcessEnd>;
  evidence(): VmEvidence;
  /** Why the machine stopped, as far as QEMU said so before it ended: `guest-shutdown`, `guest-reset`. */
  shutdownReason(): string | null;
  /** Of the console, so far. */
  consoleBytes(): number;
  /** Takes what the guest's init says, from the beginning; to be called once. */
  listen(onMessage: (message: GuestMessage) => void): void;
}

const STDERR_BYTES = 4_096;

export async function startQemu(
  [command, args]: readonly [string, readonly string[]],
  options: {
    readonly task: Pick<VmTask, "consolePath" | "consoleLimitBytes">;
    readonly inheritedFds: readonly number[];
    readonly onConsole?: ((chunk: Uint8Array) => void) | undefined;
  },
): Promise<QemuProcess> {
  const { consolePath: path, consoleLimitBytes: limitBytes } = options.task;
  const sink = await createConsoleSink({ path, limitBytes });
  const sockets = ["pipe", "pipe", "pipe"] as const;
  const group = await startProcessGroup(command, args, {
    stdio: ["ignore", "ignore", "pipe", ...sockets, ...options.inheritedFds],
    env: {},
  }).catch(async (error: unknown) => {
    await sink.close();
    throw error;
  });
  const [, , , console, control, qmpSocket] = group.child.stdio as unknown as Duplex[];
  const stderr = createRingBuffer(STDERR_BYTES);
  group.child.stderr?.on("data", (chunk: Buffer) => stderr.write(chunk));
  console?.on("data", (chunk: Buffer) => {
    sink.write(chunk);
    options.onConsole?.(chunk);
  });
  let shutdown: string | null = null;
  const qmp = createQmpClient(qmpSocket as Duplex, {
    onEvent: ({ event, data }) => {
      if (event === "SHUTDOWN") shutdown = String(data.reason);
    },
  });
  return {
    pid: group.pid,
    ended: group.ended,
    shutdownReason: () => shutdown,
    consoleBytes: () => sink.totalBytes,
    evidence: () => ({ console: sink.tail(), stderr: stderr.read().toString("utf8") }),
    listen(onMessage) {
      const decoder = createLineDecoder({ maxLineBytes: MAX_GUEST_LINE_BYTES });
      control?.on("data", (chunk: Buffer) => {
        for (const line of decoder.push(chunk)) {
          const message = parseGuestMessage(line);
          if (message !== null) onMessage(message);
        }
      });
    },
    async [Symbol.asyncDispose]() {
      try {
        await group.stop(() => qmp.execute("quit"));
      } finally {
        qmp[Symbol.dispose]();
        await sink.close();
      }
    },
  };
}
