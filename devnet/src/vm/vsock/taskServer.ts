import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import {
  decodeFrame,
  decodeResult,
  encodeFrame,
  encodeResultResponse,
  encodeTaskResponse,
  GET_TASK,
  ProtobufError,
  SUBMIT_RESULT,
} from "gevulot-shim/wire";
import { createRateLimit } from "../../http/rateLimit.ts";
import type { TaskExchange } from "./taskExchange.ts";

/** The service of one VM: whoever connects to it sees that VM's task and no other. */
export interface TaskServer extends Disposable {
  /** Takes over a connection from the VM. */
  accept(connection: Duplex): void;
}

export const TASK_SERVER_LIMITS = {
  connections: 4,
  streamsPerConnection: 8,
  /** Of all calls that are under way together. A result with its files' names; the files themselves go by 9p. */
  bufferedBytes: 32 * 2 ** 20,
  /** Of a connection on which nothing happens, before the task is taken: then the program may compute for hours. */
  idleMs: 120_000,
  /** Twice as many at once. A program has two calls to make, and asks again once a second. */
  callsPerSecond: 20,
  connectionsPerSecond: 5,
} as const;

/** Unacknowledged bytes; the default of 64 KiB halves the speed of a large proof. */
const WINDOW_BYTES = 1024 * 1024;
const MAX_HEADER_BYTES = 8 * 1024;
/** The key of a rate that has one. */
const ONE_VM = "";
const MIN_BODY_BYTES = 4 * 1024;

/** gRPC's status codes, as many as are used. */
const STATUS = {
  ok: 0,
  invalidArgument: 3,
  resourceExhausted: 8,
  unimplemented: 12,
} as const;

interface Answer {
  readonly status: number;
  readonly reason?: string;
  readonly message?: Buffer;
}

/** What comes from a VM is hostile: bytes, connections and streams are bounded, and nothing that it sends is thrown. */
export function createTaskServer(
  exchange: TaskExchange,
  limits: { readonly [Name in keyof typeof TASK_SERVER_LIMITS]: number } = TASK_SERVER_LIMITS,
): TaskServer {
  const sessions = new Set<ServerHttp2Session>();
  const connectionRate = createRateLimit({ perSecond: limits.connectionsPerSecond });
  let buffered = 0;

  const onStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    if (exchange.isCut()) return void stream.session?.destroy();
    const path = headers[":path"] ?? "";
    const body = createBody();
    let bytes = 0;
    let refused = refusal(path, headers);
    stream.on("error", () => {});
    stream.on("data", (chunk: Buffer) => {
      if (refused !== null) return;
      bytes += chunk.length;
      buffered += chunk.length;
      if (buffered <= limits.bufferedBytes) return body.add(chunk);
      refused = tooMuch(limits.bufferedBytes);
      body.drop();
      reply(stream, refused);
    });
    stream.on("end", () => reply(stream, refused ?? answerCall(exchange, path, body.bytes())));
    stream.on("close", () => {
      buffered -= bytes;
    });
    // Nobody waits for the rest of a call that comes to nothing.
    if (refused !== null) reply(stream, refused);
  };

  return {
    accept(connection) {
      connection.on("error", () => {});
      const isTooMany = sessions.size >= limits.connections || connectionRate.take(ONE_VM) > 0;
      if (isTooMany || exchange.isCut()) return void connection.destroy();
      const session = performServerHandshake(connection, {
        settings: {
          maxConcurrentStreams: limits.streamsPerConnection,
          initialWindowSize: WINDOW_BYTES,
          maxHeaderListSize: MAX_HEADER_BYTES,
          enablePush: false,
        },
        maxHeaderListPairs: 64,
        maxSessionMemory: 2,
      });
      sessions.add(session);
      session.on("error", () => {});
      const callRate = createRateLimit({ perSecond: limits.callsPerSecond });
      session.on("stream", (stream, headers) => {
        if (callRate.take(ONE_VM) === 0) return onStream(stream, headers);
        stream.on("error", () => {});
        // Not by a farewell, which it may never read.
        connection.destroy();
      });
      session.on("close", () => {
        sessions.delete(session);
        connection.destroy();
      });
      session.setLocalWindowSize(WINDOW_BYTES);
      session.setTimeout(limits.idleMs, () => void (exchange.isTaken || session.destroy()));
    },
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy();
    },
  };
}

/** What arrives is copied: a byte that comes alone would hold all that was read with it. */
function createBody() {
  let buffer = Buffer.alloc(0);
  let used = 0;
  return {
    add(chunk: Buffer): void {
      const needed = used + chunk.length;
      if (needed > buffer.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(needed, buffer.length * 2, MIN_BODY_BYTES));
        buffer.copy(larger, 0, 0, used);
        buffer = larger;
      }
      chunk.copy(buffer, used);
      used = needed;
    },
    drop(): void {
      buffer = Buffer.alloc(0);
      used = 0;
    },
    bytes: (): Buffer => buffer.subarray(0, used),
  };
}

function refusal(path: string, headers: IncomingHttpHeaders): Answer | null {
  if (path === GET_TASK || path === SUBMIT_RESULT) {
    const isGrpc = headers[":method"] === "POST" && headers["content-type"]?.startsWith("application/grpc");
    return isGrpc ? null : { status: STATUS.unimplemented, reason: "a POST of application/grpc is wanted" };
  }
  return { status: STATUS.unimplemented, reason: "the service has GetTask and SubmitResult" };
}

function tooMuch(limit: number): Answer {
  const reason = `more than ${limit} bytes: hand large data over as files`;
  return { status: STATUS.resourceExhausted, reason };
}

function answerCall(exchange: TaskExchange, path: string, body: Buffer): Answer {
  const frame = decodeFrame(body);
  if (frame.kind === "compressed")
    return { status: STATUS.unimplemented, reason: "messages come uncompressed" };
  if (frame.kind === "malformed") return { status: STATUS.invalidArgument, reason: frame.problem };
  // GetTask's request is empty; fields that a later one may have are unknown here.
  if (path === GET_TASK) return { status: STATUS.ok, message: taskResponse(exchange) };
  try {
    const problem = exchange.submit(decodeResult(frame.message));
    if (problem !== null) return { status: STATUS.invalidArgument, reason: problem };
    return { status: STATUS.ok, message: encodeResultResponse(false) };
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    return { status: STATUS.invalidArgument, reason: error.message };
  }
}

function taskResponse(exchange: TaskExchange): Buffer {
  const task = exchange.takeTask();
  return encodeTaskResponse(task === null ? { kind: "error", error: "Unavailable" } : { kind: "task", task });
}

function reply(stream: ServerHttp2Stream, { status, reason, message }: Answer): void {
  if (stream.closed || stream.destroyed || stream.headersSent) return;
  const head = { ":status": 200, "content-type": "application/grpc" };
  const trailers = {
    "grpc-status": String(status),
    ...(reason === undefined ? {} : { "grpc-message": encodeURIComponent(wellFormed(reason)) }),
  };
  if (message === undefined) {
    stream.respond({ ...head, ...trailers }, { endStream: true });
    // The caller may still be sending.
    if (!stream.readableEnded) stream.close(constants.NGHTTP2_NO_ERROR);
    return;
  }
  stream.respond(head, { waitForTrailers: true });
  stream.once("wantTrailers", () => stream.sendTrailers(trailers));
  stream.end(encodeFrame(message));
}

/** A reason may quote what a VM sent, cut within a character; such a text can't be encoded. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
