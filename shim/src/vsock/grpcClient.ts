import { once } from "node:events";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import type { Duplex } from "node:stream";
import { decodeFrame, encodeFrame } from "./grpcFrame.ts";

export interface GrpcClient {
  /** One unary call. Rejects with a sentence that names the call. */
  call(path: string, message: Uint8Array, timeoutMs: number): Promise<Buffer>;
  close(): void;
}

/** What the host may answer; a task's arguments are far below. */
const MAX_RESPONSE_BYTES = 64 * 2 ** 20;

/** Unary gRPC calls over a connection that is there already. */
export function createGrpcClient(connection: Duplex): GrpcClient {
  const session = connect("http://host", { createConnection: () => connection });
  let failure: Error | null = null;
  session.on("error", (error: Error) => {
    failure ??= error;
  });
  return {
    async call(path, message, timeoutMs) {
      try {
        return await unary(session, path, message, timeoutMs);
      } catch (error) {
        // The call often only knows that it was ended.
        const { message } = failure ?? (error as Error);
        throw new Error(`${path}: ${message}`, { cause: error });
      }
    },
    close() {
      session.destroy();
      connection.destroy();
    },
  };
}

async function unary(
  session: ClientHttp2Session,
  path: string,
  message: Uint8Array,
  timeoutMs: number,
): Promise<Buffer> {
  const stream = session.request({
    ":method": "POST",
    ":path": path,
    "content-type": "application/grpc",
    te: "trailers",
    "user-agent": "gevulot-shim",
  });
  let status: IncomingHttpHeaders = {};
  const chunks: Buffer[] = [];
  let bytes = 0;
  // An answer without a message has its status in the headers.
  stream.on("response", (headers) => {
    if (headers["grpc-status"] !== undefined) status = headers;
  });
  stream.on("trailers", (headers) => {
    status = headers;
  });
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= MAX_RESPONSE_BYTES) chunks.push(chunk);
    else stream.destroy(new Error(`the answer has more than ${MAX_RESPONSE_BYTES} bytes`));
  });
  const timer = setTimeout(
    () => stream.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  try {
    stream.end(encodeFrame(message));
    await once(stream, "close");
  } finally {
    clearTimeout(timer);
  }
  const code = status["grpc-status"];
  if (code !== "0") {
    const why = code === undefined ? "the connection ended" : (status["grpc-message"] ?? "no reason given");
    throw new Error(`${decodeURIComponent(String(why))} (gRPC status ${code ?? "unknown"})`);
  }
  const frame = decodeFrame(Buffer.concat(chunks));
  if (frame.kind === "message") return frame.message;
  throw new Error(`${frame.kind === "malformed" ? frame.problem : "the answer is compressed"}`);
}
