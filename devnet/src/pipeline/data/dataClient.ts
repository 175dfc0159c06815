import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { type ChannelCredentials, Client, type ServiceDefinition } from "@grpc/grpc-js";
import { GRPC_OPTIONS } from "../wire/grpcLimits.ts";
import type { BlobStore } from "./blobStore.ts";

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

const ATTEMPTS = 5;

export function createDataClient(
  deps: {
    readonly stageData: ServiceDefinition;
    readonly credentials: ChannelCredentials;
    readonly blobs: BlobStore;
  },
  addr: string,
): DataClient {
  const { blobs, stageData } = deps;
  const client = new Client(addr, deps.credentials, GRPC_OPTIONS);
  const { Get, Put } = stageData;

  const download = async function* (hash: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    let got = 0;
    let total = Number.POSITIVE_INFINITY;
    for (let attempt = 1; got < total; attempt += 1) {
      const call = client.makeServerStreamRequest(
        Get!.path,
        Get!.requestSerialize,
        Get!.responseDeserialize,
        {
          sha256: hash,
          offset: String(got),
        },
      );
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
      } catch (error) {
        if (signal.aborted || attempt >= ATTEMPTS) throw error;
      } finally {
        signal.removeEventListener("abort", cancel);
      }
    }
  };

  return {
    async fetch(hash, signal) {
      if ((await blobs.size(hash)) === null) await blobs.put(download(hash, signal), hash);
      return blobs.path(hash);
    },
    async sendFile(path, target) {
      const [{ size }, sha256] = [await stat(path), await hashOf(path)];
      await new Promise<void>((resolve, reject) => {
        const call = client.makeClientStreamRequest(
          Put!.path,
          Put!.requestSerialize,
          Put!.responseDeserialize,
          (error: Error | null) => (error ? reject(error) : resolve()),
        );
        const { segment } = target;
        const about = {
          computed_request_id: target.taskId,
          file: target.file ?? "",
          ...(segment !== undefined && { segment }),
        };
        call.write({ head: { sha256, total_bytes: String(size), ...about }, data: Buffer.alloc(0) });
        const file = createReadStream(path);
        file.on("data", (data) => {
          if (call.write({ data })) return;
          file.pause();
          call.once("drain", () => file.resume());
        });
        file.on("end", () => call.end());
        file.on("error", (error) => {
          call.cancel();
          reject(error);
        });
      });
    },
    close: () => client.close(),
  };
}

async function hashOf(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of createReadStream(path)) hash.update(piece as Buffer);
  return hash.digest("hex");
}
