import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import {
  type ChannelCredentials,
  Client,
  type Interceptor,
  type ServiceDefinition,
  status,
} from "@grpc/grpc-js";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import type { BlobStore } from "./blobStore.ts";
import { sha256File } from "./sha256File.ts";

/** What is sent belongs to this task: a segment, or one of its other files. */
export interface PutTarget {
  readonly taskId: string;
  readonly segment?: number;
  readonly file?: string;
}

/** A stage's StageData, as a prover node uses it. */
export interface DataClient {
  /** Brings a blob into the local store unless it is there; goes on where a cut broke off. */
  fetch(hash: string, signal: AbortSignal): Promise<string>;
  sendFile(path: string, target: PutTarget): Promise<void>;
  close(): void;
}

/** Without a byte more in between. */
const ATTEMPTS = 5;
const FIRST_PAUSE_MS = 200;
const LONGEST_RECONNECT_MS = 5_000;

export function createDataClient(
  deps: {
    readonly stageData: ServiceDefinition;
    readonly credentials: ChannelCredentials;
    readonly interceptors?: Interceptor[];
    readonly blobs: BlobStore;
  },
  addr: string,
): DataClient {
  const { blobs, stageData } = deps;
  const client = new Client(addr, deps.credentials, {
    ...GRPC_OPTIONS,
    interceptors: deps.interceptors ?? [],
    "grpc.initial_reconnect_backoff_ms": FIRST_PAUSE_MS,
    "grpc.max_reconnect_backoff_ms": LONGEST_RECONNECT_MS,
  });
  return {
    async fetch(hash, signal) {
      if ((await blobs.size(hash)) === null) await blobs.put(download(client, stageData, hash, signal), hash);
      return blobs.path(hash);
    },
    sendFile: (path, target) => upload(client, stageData, path, target),
    close: () => client.close(),
  };
}

async function* download(
  client: Client,
  stageData: ServiceDefinition,
  hash: string,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const { path, requestSerialize, responseDeserialize } = stageData.Get!;
  let got = 0;
  let total = Number.POSITIVE_INFINITY;
  let failures = 0;
  while (got < total) {
    const before = got;
    const request = { sha256: hash, offset: String(got) };
    const call = client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
    const cancel = (): void => call.cancel();
    signal.addEventListener("abort", cancel, { once: true });
    try {
      let isFirst = true;
      for await (const chunk of call as AsyncIterable<{ total_bytes: string; data: Buffer }>) {
        if (isFirst) total = Number(chunk.total_bytes);
        isFirst = false;
        got += chunk.data.length;
        yield chunk.data;
      }
      if (got < total) throw new Error(`the stage sent ${got} of ${total} bytes of ${hash}`);
    } catch (error) {
      failures = got > before ? 1 : failures + 1;
      const { code } = error as { code?: number };
      if (signal.aborted || failures >= ATTEMPTS || code === status.NOT_FOUND) throw error;
      await delay(FIRST_PAUSE_MS * 2 ** (failures - 1), undefined, { signal });
    } finally {
      signal.removeEventListener("abort", cancel);
    }
  }
}

async function upload(
  client: Client,
  stageData: ServiceDefinition,
  file: string,
  { taskId, segment, file: name }: PutTarget,
): Promise<void> {
  const { path, requestSerialize, responseDeserialize } = stageData.Put!;
  const [{ size }, sha256] = [await stat(file), await sha256File(file)];
  await new Promise<void>((resolve, reject) => {
    const source = createReadStream(file);
    const call = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      (error: Error | null) => {
        source.destroy();
        if (error) reject(error);
        else resolve();
      },
    );
    const about = {
      computed_request_id: taskId,
      file: name ?? "",
      ...(segment !== undefined && { segment }),
    };
    call.write({ head: { sha256, total_bytes: String(size), ...about }, data: Buffer.alloc(0) });
    source.on("data", (data) => {
      if (call.write({ data })) return;
      source.pause();
      call.once("drain", () => source.resume());
    });
    source.on("end", () => call.end());
    source.on("error", (error) => {
      call.cancel();
      reject(error);
    });
  });
}
