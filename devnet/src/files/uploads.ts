import { randomBytes } from "node:crypto";
import { createWriteStream } from "node:fs";
import { access, mkdir, rename, rm } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { Transform } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { checksumFile } from "gevulot-sdk/node";

export interface UploadOptions {
  /** Data directory; the files lie in `uploads` under their checksums. */
  readonly root: string;
  readonly maxBytes: number;
}

export interface Uploads {
  /** Answers `PUT /files/<BLAKE3>`; what comes must have this checksum. */
  take(request: IncomingMessage, response: ServerResponse, checksum: string): Promise<void>;
}

export const UPLOADS_FOLDER = "uploads";
export const UPLOAD_PATH = /^\/files\/([0-9a-f]{64})$/;
/** Of one that is under way. */
export const PART_SUFFIX = ".part";
const MAX_AT_ONCE = 8;
const READ_ON_MS = 1_000;

class TooLarge extends Error {}

/** Files of clients that the node can't reach: put here first, then named by URL in a Deploy or Run. */
export function createUploads({ root, maxBytes }: UploadOptions): Uploads {
  const folder = join(root, UPLOADS_FOLDER);
  let underWay = 0;

  const receive = async (request: IncomingMessage, checksum: string): Promise<boolean> => {
    await mkdir(folder, { recursive: true });
    const part = join(folder, `${checksum}.${randomBytes(6).toString("hex")}${PART_SUFFIX}`);
    try {
      await pipeline(request, bounded(maxBytes), createWriteStream(part, { flags: "wx" }));
      if ((await checksumFile(part)) !== checksum) return false;
      await rename(part, join(folder, checksum));
      return true;
    } finally {
      await rm(part, { force: true });
    }
  };

  return {
    async take(request, response, checksum) {
      const location = `/files/${checksum}`;
      const refuse = (status: number, text: string) =>
        response.writeHead(status, { "content-type": "text/plain", connection: "close" }).end(`${text}\n`);
      if (Number(request.headers["content-length"] ?? 0) > maxBytes) {
        refuse(413, `the file is larger than ${maxBytes} bytes, the limit of this node`);
      } else if (await exists(join(folder, checksum))) {
        await readOn(request);
        response.writeHead(200, { location, connection: "close" }).end("the file is here already\n");
      } else if (underWay >= MAX_AT_ONCE) {
        response.setHeader("retry-after", "5");
        refuse(503, `${MAX_AT_ONCE} uploads are under way; come again in a moment`);
      } else {
        underWay++;
        try {
          if (await receive(request, checksum)) response.writeHead(201, { location }).end("stored\n");
          else refuse(400, `what came has another BLAKE3 than ${checksum}`);
        } catch (error) {
          if (error instanceof TooLarge) refuse(413, error.message);
          else if (!request.readableAborted) throw error;
        } finally {
          underWay--;
        }
      }
    },
  };
}

/** A connection that is closed while the client still sends is cut, and the answer lost: a short file is heard out. */
async function readOn(request: IncomingMessage): Promise<void> {
  request.resume();
  // Whatever ends it, the answer is the same.
  await finished(request, { signal: AbortSignal.timeout(READ_ON_MS) }).catch(() => {});
}

function bounded(maxBytes: number): Transform {
  let size = 0;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      size += chunk.length;
      if (size > maxBytes)
        done(new TooLarge(`the file is larger than ${maxBytes} bytes, the limit of this node`));
      else done(null, chunk);
    },
  });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
