import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { LocalPut, PutAnswer } from "../context/platform.ts";
import type { OnBytes } from "../context/progress.ts";
import { unreadable } from "./checksumFile.ts";

const CHUNK_BYTES = 512 * 1024;
const MAX_ANSWER_CHARS = 4_096;
/** A server that knows nothing of asking first gets the file after this. */
const CONTINUE_WAIT_MS = 1_000;
/** A refusal comes with the leave to continue, or right after it. */
const REFUSAL_WAIT_MS = 30;

/**
 * Sends a file by HTTP PUT. Not by fetch, which tells nothing of how far a body has come, and gives up after five minutes.
 * Asks first (`Expect: 100-continue`), so that a refusal is read before the connection breaks under the body.
 */
export async function putFile(options: LocalPut): Promise<PutAnswer> {
  const { path, url, headers, onBytes, signal } = options;
  const { size } = await stat(path).catch((cause) => {
    throw unreadable(path, cause);
  });
  const request = (url.startsWith("https:") ? requestHttps : requestHttp)(url, {
    method: "PUT",
    headers: { ...headers, "content-length": size, expect: "100-continue" },
    signal,
  });
  const answer = readAnswer(request);
  request.flushHeaders();
  const early = await Promise.race([answer, leaveToSend(request)]);
  if (early !== undefined) {
    request.destroy();
    return early;
  }
  const source = createReadStream(path, { highWaterMark: CHUNK_BYTES });
  // What breaks here is told by the answer, or by the lack of one.
  const sent = pipeline(source, counting(size, onBytes), request);
  const [result] = await Promise.all([answer, sent.catch(() => undefined)]);
  return result;
}

function counting(size: number, onBytes: OnBytes): Transform {
  let done = 0;
  return new Transform({
    transform(chunk: Buffer, _, next) {
      done += chunk.length;
      onBytes(done, size);
      next(null, chunk);
    },
  });
}

/** Undefined once the body may go. */
function leaveToSend(request: ClientRequest): Promise<undefined> {
  return new Promise((resolve) => {
    const go = () => resolve(undefined);
    const timer = setTimeout(go, CONTINUE_WAIT_MS);
    request.once("continue", () => setTimeout(go, REFUSAL_WAIT_MS));
    request.once("close", () => clearTimeout(timer));
  });
}

function readAnswer(request: ClientRequest): Promise<PutAnswer> {
  return new Promise((resolve, reject) => {
    request.on("error", reject);
    request.once("response", (response: IncomingMessage) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (piece: string) => {
        text = (text + piece).slice(0, MAX_ANSWER_CHARS);
      });
      const end = () => resolve({ status: response.statusCode ?? 0, text });
      response.once("end", end);
      response.once("error", end);
    });
  });
}
