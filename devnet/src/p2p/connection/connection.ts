import { createAssembler, toChunks } from "../wire/chunks.ts";
import { MAX_MESSAGE_BYTES } from "../wire/message.ts";
import type { OpenedConnection } from "./openConnection.ts";

/** How long a peer has to take what is still queued when this node closes. */
const LINGER_MS = 1_000;

/** The encrypted stream, as whole messages. */
export interface Connection {
  /** Queues a message; false where it does not fit into a frame of an older peer. The caller minds `queuedBytes`. */
  send(message: Uint8Array): boolean;
  /** What waits to be sent. */
  readonly queuedBytes: number;
  /** Resolves when the queue is empty, or the connection gone. */
  drained(): Promise<void>;
  /** Messages until the peer closes. Throws what the peer did wrong: a `ConnectionFault`. */
  messages(): AsyncGenerator<Uint8Array>;
  /** Says good-bye after what is queued, or at once. */
  close(how: "flush" | "now"): void;
  readonly isClosed: boolean;
}

/** The bytes are not what the protocol says. */
export class ConnectionFault extends Error {}

/** `isChunked`: both sides announced version 2. */
export function createConnection(opened: OpenedConnection, isChunked: boolean): Connection {
  const { socket, transport } = opened;
  let isClosed = false;
  socket.on("close", () => {
    isClosed = true;
  });

  const sendFrame = (plaintext: Uint8Array): void => {
    const ciphertext = transport.send.encrypt(plaintext);
    const length = Buffer.alloc(2);
    length.writeUInt16BE(ciphertext.length);
    socket.write(length);
    socket.write(ciphertext);
  };

  return {
    get isClosed() {
      return isClosed;
    },
    get queuedBytes() {
      return socket.writableLength;
    },
    send(message) {
      if (isClosed || socket.destroyed) return true;
      if (!isChunked && message.length > MAX_MESSAGE_BYTES) return false;
      // One system call for the frames of a message.
      socket.cork();
      for (const frame of isChunked ? toChunks(message) : [message]) sendFrame(frame);
      process.nextTick(() => socket.uncork());
      return true;
    },
    drained: () =>
      new Promise((resolve) => {
        if (isClosed || socket.destroyed || !socket.writableNeedDrain) return resolve();
        const done = () => {
          socket.off("drain", done);
          socket.off("close", done);
          resolve();
        };
        socket.on("drain", done);
        socket.on("close", done);
      }),
    messages: () => readMessages(opened, isChunked),
    close(how) {
      isClosed = true;
      if (how === "now") {
        socket.destroy();
        return;
      }
      socket.end();
      const timer = setTimeout(() => socket.destroy(), LINGER_MS);
      socket.once("close", () => clearTimeout(timer));
      timer.unref();
    },
  };
}

async function* readMessages(
  { source, transport }: OpenedConnection,
  isChunked: boolean,
): AsyncGenerator<Uint8Array> {
  const assembler = createAssembler();
  for (;;) {
    const header = await source.read(2);
    const frame = header && (await source.read(header[0]! * 256 + header[1]!));
    if (frame === null) return;
    const plaintext = transport.receive.decrypt(frame);
    if (plaintext === null) throw new ConnectionFault("a frame that does not decrypt");
    if (!isChunked) {
      yield plaintext;
      continue;
    }
    const assembled = assembler.push(plaintext);
    if (assembled.kind === "fault") throw new ConnectionFault(assembled.reason);
    if (assembled.kind === "message") yield assembled.bytes;
  }
}
