import type { Hash } from "../protocol/transaction.ts";
import { checksumBytes } from "./checksumBytes.ts";
import type { ClientContext, FileActionOptions } from "./context.ts";
import { type FileHost, needLocal } from "./platform.ts";
import { onBytesOf } from "./progress.ts";
import { uploadFile } from "./uploadFile.ts";
import { findUploadTarget, type UploadTarget } from "./uploadTarget.ts";

export interface HostedFile {
  readonly url: string;
  readonly checksum: Hash;
}

/** Files of this machine, on their way to a node. */
export interface HostedFiles {
  /** Hashes a file or bytes, and brings them to the node's file store, or serves them from now on until closed. */
  host(content: string | Uint8Array, name: string): Promise<HostedFile>;
  /** Only hashes a file. */
  checksum(path: string): Promise<Hash>;
  close(): Promise<void>;
}

/** The server starts with the first file that needs it. */
function createHostedFiles(context: ClientContext, options: FileActionOptions): HostedFiles {
  const { platform, files } = context;
  const { signal, onProgress } = options;
  let deciding: Promise<UploadTarget | null> | undefined;
  let starting: Promise<FileHost> | undefined;

  const checksum = (path: string) =>
    needLocal(platform, "Sending a local file").checksumFile(path, {
      onBytes: onBytesOf(onProgress, "hashing", path),
      signal,
    });
  return {
    checksum,
    async host(content, name) {
      const isPath = typeof content === "string";
      const file = isPath ? content : name;
      const hash = isPath ? await checksum(content) : await checksumBytes(platform, content);
      deciding ??= findUploadTarget(context, signal);
      const target = await deciding;
      if (target !== null) {
        const url = `${target.putUrl}/files/${hash}`;
        await uploadFile(context, {
          content,
          url,
          onBytes: onBytesOf(onProgress, "uploading", file),
          signal,
        });
        return { url: `${target.nameUrl}/files/${hash}`, checksum: hash };
      }
      starting ??= needLocal(platform, "Serving a file").createFileHost(files.fileHost);
      const host = await starting;
      const onBytes = onBytesOf(onProgress, "serving", file);
      return { url: host.add(content, { name, checksum: hash, onBytes }), checksum: hash };
    },
    async close() {
      // A host that did not start has told `host` so, and leaves nothing to stop.
      const host = await starting?.catch(() => undefined);
      await host?.close();
    },
  };
}

/** Gives hosted files to `work`, and closes them when it has ended. Browsers lack what `await using` needs. */
export async function withHostedFiles<T>(
  context: ClientContext,
  options: FileActionOptions,
  work: (hosted: HostedFiles) => Promise<T>,
): Promise<T> {
  const hosted = createHostedFiles(context, options);
  try {
    return await work(hosted);
  } finally {
    await hosted.close();
  }
}
