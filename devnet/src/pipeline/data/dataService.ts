import {
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { isPassing } from "../../store/database.ts";
import type { WirePutChunk } from "../wire/messages.ts";
import type { BlobStore } from "./blobStore.ts";

export interface DataServiceDeps {
  readonly blobs: BlobStore;
  /** Whether a task that sends data runs for this stage; nothing of others is stored. Default: each does. */
  readonly expects?: (taskId: string) => boolean;
  readonly onSegment: (taskId: string, index: number, hash: string) => Promise<void>;
  readonly onFile: (taskId: string, name: string, hash: string) => Promise<void>;
}

/** `gevulot.pipeline.v1.StageData`: what the existing service needs a shared disk for. */
export function createDataService(deps: DataServiceDeps): UntypedServiceImplementation {
  const { blobs } = deps;
  const put = async (
    call: ServerReadableStream<WirePutChunk, { sha256: string }>,
  ): Promise<{ sha256: string }> => {
    let head: WirePutChunk["head"] = null;
    const bytes = (async function* () {
      for await (const chunk of call as AsyncIterable<WirePutChunk>) {
        if (head === null) {
          head = chunk.head ?? null;
          if (!head) throw new Error("the first message has no head");
          if (deps.expects?.(head.computed_request_id) === false)
            throw new Error("no such split runs for this stage");
        }
        yield chunk.data;
      }
    })();
    // The hash is only known to be right at the end, and named in the first message.
    const blob = await blobs.put(bytes);
    const said = head as WirePutChunk["head"];
    if (!said) throw new Error("nothing was sent");
    if (said.sha256 !== blob.hash) throw new Error(`the data has SHA-256 ${blob.hash}, not ${said.sha256}`);
    if (said.segment !== undefined) await deps.onSegment(said.computed_request_id, said.segment, blob.hash);
    else if (said.file !== "") await deps.onFile(said.computed_request_id, said.file, blob.hash);
    return { sha256: blob.hash };
  };

  return {
    Get: (call: ServerWritableStream<{ sha256: string; offset: string }, object>) => {
      // Not destroyed: that would leave the caller without an answer.
      get(call, blobs).catch((error: Error) =>
        call.emit("error", { code: status.NOT_FOUND, details: error.message }),
      );
    },
    Put: (
      call: ServerReadableStream<WirePutChunk, { sha256: string }>,
      done: sendUnaryData<{ sha256: string }>,
    ) => {
      put(call).then(
        (answer) => done(null, answer),
        (error: Error) => {
          // The sender is told which of both it is: the first passes, however long that takes.
          const code = isPassing(error) ? status.UNAVAILABLE : status.INVALID_ARGUMENT;
          done({ code, details: error.message });
        },
      );
    },
    Has: (
      call: ServerUnaryCall<{ sha256: string[] }, { missing: string[] }>,
      done: sendUnaryData<{ missing: string[] }>,
    ) => {
      const sizes = call.request.sha256.map(async (hash) =>
        (await blobs.size(hash)) === null ? [hash] : [],
      );
      Promise.all(sizes).then(
        (missing) => done(null, { missing: missing.flat() }),
        (error: Error) => done({ code: status.INVALID_ARGUMENT, details: error.message }),
      );
    },
  };
}

async function get(
  call: ServerWritableStream<{ sha256: string; offset: string }, object>,
  blobs: BlobStore,
): Promise<void> {
  const { sha256, offset } = call.request;
  const total = await blobs.size(sha256);
  let goOn = (): void => {};
  call.on("drain", () => goOn());
  call.on("cancelled", () => goOn());
  call.write({ total_bytes: String(total ?? 0), data: Buffer.alloc(0) });
  for await (const data of blobs.read(sha256, Number(offset))) {
    if (call.cancelled) return;
    if (!call.write({ total_bytes: "0", data })) {
      await new Promise<void>((resolve) => {
        goOn = resolve;
        if (call.cancelled) resolve();
      });
    }
  }
  call.end();
}
