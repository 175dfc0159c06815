import { checksumBytes } from "./checksumBytes.ts";
import type { ClientContext } from "./context.ts";
import { type FileHost, needLocal } from "./platform.ts";

export interface HostedFile {
  readonly url: string;
  readonly checksum: string;
}

/** Files of this machine, on their way to a node. */
export interface HostedFiles {
  /** Hashes a file or bytes and serves them from now on until closed. */
  host(content: string | Uint8Array, name: string): Promise<HostedFile>;
  close(): Promise<void>;
}

/** The server starts with the first file. */
function createHostedFiles(context: ClientContext, signal: AbortSignal | undefined): HostedFiles {
  const { platform, fileHost } = context;
  let starting: Promise<FileHost> | undefined;
  return {
    async host(content, name) {
      const local = needLocal(platform, "Sending a local file");
      const checksum =
        typeof content === "string"
          ? await local.checksumFile(content, { signal })
          : await checksumBytes(platform, content);
      starting ??= local.createFileHost(fileHost);
      const host = await starting;
      return { url: host.add(content, { name, checksum }), checksum };
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
  signal: AbortSignal | undefined,
  work: (hosted: HostedFiles) => Promise<T>,
): Promise<T> {
  const hosted = createHostedFiles(context, signal);
  try {
    return await work(hosted);
  } finally {
    await hosted.close();
  }
}
