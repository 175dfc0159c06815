import type { ServerResponse } from "node:http";

/** An open stream of Server-Sent Events. */
export interface EventStream {
  /** What it may leave unread is bounded: one that reads no more is cut off. */
  send(event: { readonly id?: string; readonly name: string; readonly data: unknown }): void;
  end(): void;
  /** Whether the reader is behind, so that what can wait should. */
  readonly isBehind: boolean;
  /** Called once, when the stream has ended, whoever ended it. */
  onClose(listener: () => void): void;
}

export interface EventStreams extends Disposable {
  readonly count: number;
  /** Begins an answer; `onBeat` is called as often as a heartbeat is sent. */
  open(response: ServerResponse, onBeat?: () => void): EventStream;
}

/** What a listener may leave unread. */
const MAX_UNREAD_BYTES = 1_048_576;
const BEHIND_BYTES = 65_536;
const RETRY_MS = 1_000;

/** The streams of a server; disposing ends them all. */
export function createEventStreams({ heartbeatMs }: { readonly heartbeatMs: number }): EventStreams {
  const open = new Set<EventStream>();
  return {
    get count() {
      return open.size;
    },
    open(response, onBeat) {
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      response.write(`retry: ${RETRY_MS}\n\n`);
      const heartbeat = setInterval(() => {
        response.write(":\n\n");
        onBeat?.();
      }, heartbeatMs);
      const stream: EventStream = {
        send({ id, name, data }) {
          if (response.writableEnded || response.destroyed) return;
          const text = `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
          response.write(id === undefined ? text : `id: ${id}\n${text}`);
          if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
        },
        end: () => void response.end(),
        get isBehind() {
          return response.writableLength > BEHIND_BYTES;
        },
        onClose: (listener) => void response.once("close", listener),
      };
      open.add(stream);
      stream.onClose(() => {
        clearInterval(heartbeat);
        open.delete(stream);
      });
      return stream;
    },
    [Symbol.dispose]() {
      for (const stream of open) stream.end();
    },
  };
}
