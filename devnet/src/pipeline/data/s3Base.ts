import { randomUUID } from "node:crypto";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join, relative, resolve, sep } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import type { Client } from "minio";
import { INCOMING } from "./blobStore.ts";
import { pathInside, type SharedBase } from "./sharedBase.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    S3_FAILED: { url: string };
    S3_LIBRARY_MISSING: { library: string };
  }
}

export interface S3BaseOptions {
  /** `s3://bucket/prefix`. */
  readonly url: string;
  /** The service; default Amazon's. */
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** Folder of this machine for what was written and fetched. */
  readonly cacheDir: string;
  /** Default: those of the environment (`AWS_ACCESS_KEY_ID` …) or of the machine's role. */
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  /** For one request, a whole file included; default 10 minutes. */
  readonly timeoutMs?: number | undefined;
}

const AMAZON = "https://s3.amazonaws.com";
/** Each look is a request. */
const LOOK_EVERY_MS = 1_000;
const DEFAULT_TIMEOUT_MS = 600_000;
const HTTPS_PORT = 443;
const HTTP_PORT = 80;

/** A base folder in an S3 bucket. Throws `S3_FAILED` where the bucket can't be used. */
export async function createS3Base(options: S3BaseOptions): Promise<SharedBase> {
  const { bucket, prefix, root } = parseUrl(options.url);
  const client = await connect(options);
  const dir = resolve(options.cacheDir);
  await mkdir(dir, { recursive: true });
  const below = (path: string): string => relative(dir, path).split(sep).join("/");
  const keyOf = (path: string): string => prefix + below(path);
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await withDeadline(options.timeoutMs ?? DEFAULT_TIMEOUT_MS, work);
    } catch (error) {
      if (isMissing(error)) throw error;
      throw failed(options.url, what, error as Error);
    }
  };
  await attempt("read", async () => {
    if (!(await client.bucketExists(bucket))) throw new Error(`there is no bucket ${bucket}`);
  });
  return {
    dir,
    lookEveryMs: LOOK_EVERY_MS,
    wirePath: (path) => (below(path) === "" ? root : `${root}/${below(path)}`),
    localPath: (path) => (path.startsWith(`${root}/`) ? pathInside(dir, path.slice(root.length)) : null),
    publish: (path) =>
      attempt("written", async () => {
        await client.fPutObject(bucket, keyOf(path), path);
      }),
    async fetch(path) {
      // No folders for what is asked for and isn't there.
      const arriving = join(dir, INCOMING, randomUUID());
      try {
        await attempt("read", () => client.fGetObject(bucket, keyOf(path), arriving));
        await mkdir(dirname(path), { recursive: true });
        await rename(arriving, path);
        return true;
      } catch (error) {
        if (isMissing(error)) return false;
        throw error;
      } finally {
        await rm(arriving, { force: true });
      }
    },
    async remove(path) {
      await attempt("written", () => client.removeObject(bucket, keyOf(path)));
      await rm(path, { force: true });
    },
    list: (folder) =>
      attempt("listed", async () => {
        const names: string[] = [];
        const start = `${keyOf(folder)}/`;
        for await (const item of client.listObjectsV2(bucket, start, false)) {
          const { name } = item as { name?: string };
          // Consoles of S3 make an empty object for the folder itself.
          if (name !== undefined && name !== start) names.push(name.slice(start.length));
        }
        return names;
      }),
  };
}

/** The library has none: a service that says nothing would be waited for without end. */
async function withDeadline<T>(timeoutMs: number, work: () => Promise<T>): Promise<T> {
  const done = new AbortController();
  const late = delay(timeoutMs, undefined, { signal: done.signal }).then((): never => {
    throw new Error(`it did not answer within ${timeoutMs / 1_000} s`);
  });
  try {
    return await Promise.race([work(), late]);
  } finally {
    late.catch(() => {});
    done.abort();
  }
}

function parseUrl(url: string): { bucket: string; prefix: string; root: string } {
  const { host, pathname } = new URL(url);
  const path = decodeURIComponent(pathname).replace(/^\/+|\/+$/g, "");
  return {
    bucket: host,
    prefix: path === "" ? "" : `${path}/`,
    root: `s3://${host}${path === "" ? "" : `/${path}`}`,
  };
}

async function connect(options: S3BaseOptions): Promise<Client> {
  const { Client, IamAwsProvider } = await import("minio").catch((cause: Error) => {
    throw new GevulotError(
      "S3_LIBRARY_MISSING",
      `A base_dir in S3 needs the package minio, which is not installed (${cause.message}). Install it: npm install minio`,
      { context: { library: "minio" }, cause },
    );
  });
  const { protocol, hostname, port } = new URL(options.endpoint ?? AMAZON);
  const useSSL = protocol === "https:";
  const { accessKey, secretKey, region } = options;
  return new Client({
    endPoint: hostname,
    port: port === "" ? (useSSL ? HTTPS_PORT : HTTP_PORT) : Number(port),
    useSSL,
    ...(region === undefined ? {} : { region }),
    // Names of buckets are no host names of other services.
    pathStyle: options.endpoint !== undefined,
    ...(accessKey === undefined || secretKey === undefined
      ? { credentialsProvider: new IamAwsProvider({}) }
      : { accessKey, secretKey }),
  });
}

function isMissing(error: unknown): boolean {
  return ["NoSuchKey", "NotFound"].includes(String((error as { code?: unknown }).code));
}

function failed(url: string, what: string, cause: Error): GevulotError {
  return new GevulotError(
    "S3_FAILED",
    `${url} can't be ${what} (${cause.message}). Check base_dir, s3_endpoint, s3_region and the credentials.`,
    { context: { url }, cause },
  );
}
