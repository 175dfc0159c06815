import { readdir, readFile, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    NANOS_KERNEL_NOT_FOUND: { readonly path: string; readonly reason: string };
  }
}

export interface KernelFilesOptions {
  /** The folder `.ops` of an installed ops. */
  readonly opsHome: string;
  /** Instead of the version in ops's `latest.txt`. */
  readonly version?: string | undefined;
  /** A `kernel.img` and a `boot.img` of your own. */
  readonly kernelPath?: string | undefined;
  readonly bootPath?: string | undefined;
  readonly klibDir?: string | undefined;
}

export interface KernelFiles {
  readonly kernelPath: string;
  readonly bootPath: string;
  readonly klibDir: string;
  /** Empty where nobody says. */
  readonly version: string;
  /** Of ops's archive of common files; those that are there. */
  readonly common: ReadonlyMap<string, string>;
}

/** In the common archive, and in the image. */
const COMMON: Readonly<Record<string, string>> = {
  "ca-certificates.crt": "/etc/ssl/certs/ca-certificates.crt",
  "libnss_dns.so.2": "/lib/x86_64-linux-gnu/libnss_dns.so.2",
};
const VERSION = /^[0-9A-Za-z][0-9A-Za-z._-]{0,63}$/;
const MAX_COMMON_DEPTH = 5;

/**
 * Finds Nanos: the kernel and its loader, where ops keeps them or where the caller says.
 *
 * @throws GevulotError `NANOS_KERNEL_NOT_FOUND`
 */
export async function findKernelFiles(options: KernelFilesOptions): Promise<KernelFiles> {
  const { opsHome } = options;
  const isGiven = options.kernelPath !== undefined && options.bootPath !== undefined;
  const version = options.version ?? (await latestVersion(opsHome, isGiven));
  if (version !== "" && !VERSION.test(version)) throw notFound(version, "this is no version of Nanos");
  const folder = join(opsHome, version);
  const files: KernelFiles = {
    kernelPath: options.kernelPath ?? join(folder, "kernel.img"),
    bootPath: options.bootPath ?? join(folder, "boot.img"),
    klibDir: options.klibDir ?? join(folder, "klibs"),
    version,
    common: await findCommon(join(opsHome, "common")),
  };
  for (const path of [files.kernelPath, files.bootPath]) {
    const found = await stat(path).catch(() => null);
    if (!found?.isFile()) throw notFound(path, "it is not there");
  }
  return files;
}

async function latestVersion(opsHome: string, isOptional: boolean): Promise<string> {
  const path = join(opsHome, "latest.txt");
  const text = await readFile(path, "utf8").catch(() => null);
  if (text !== null) return text.trim();
  if (isOptional) return "";
  throw notFound(path, "it is not there");
}

async function findCommon(folder: string, depth = 0): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const path = join(folder, entry.name);
    const place = COMMON[basename(path)];
    if (entry.isFile() && place !== undefined) found.set(place, path);
    if (!entry.isDirectory() || depth >= MAX_COMMON_DEPTH) continue;
    for (const [place, inner] of await findCommon(path, depth + 1)) found.set(place, inner);
  }
  return found;
}

function notFound(path: string, reason: string): GevulotError<"NANOS_KERNEL_NOT_FOUND"> {
  const message =
    `No Nanos kernel: ${path}: ${reason}. Install ops and run \`ops update\` once, which puts kernel.img and boot.img ` +
    "into ~/.ops/<version> (OPS_HOME says where .ops is), or name both with --kernel and --boot. " +
    "Without --format nanos an image is made with Linux and needs neither.";
  return new GevulotError("NANOS_KERNEL_NOT_FOUND", message, { context: { path, reason } });
}
