import { access, constants, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { release } from "node:os";
import { join } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { cachedFolder } from "./cachedFolder.ts";
import { readKernelVersion } from "./extractVmlinux.ts";
import { runTool } from "./runTool.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    GUEST_KERNEL_NOT_FOUND: { readonly tried: readonly string[] };
  }
}

export interface GuestKernel {
  /** A bzImage. */
  readonly kernelPath: string;
  /** The folder with `kernel/…/*.ko`. */
  readonly modulesDir: string;
  readonly version: string;
}

export interface EnsureGuestKernelOptions {
  readonly cacheDir: string;
  /** A kernel of one's own; both or none. */
  readonly kernelPath?: string | undefined;
  readonly modulesDir?: string | undefined;
  /** Called only when something has to be fetched. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

const META_PACKAGE = "linux-image-amd64";
const DOWNLOAD_TIMEOUT_MS = 10 * 60_000;

/**
 * The kernel that guests boot: the one given, else one fetched earlier, else Debian's package (downloaded and
 * unpacked in the cache folder; nothing is installed, root is not needed), else this machine's own.
 *
 * @throws GevulotError `GUEST_KERNEL_NOT_FOUND`, `KERNEL_INVALID`
 */
export async function ensureGuestKernel(options: EnsureGuestKernelOptions): Promise<GuestKernel> {
  const { kernelPath, modulesDir } = options;
  if (kernelPath !== undefined && modulesDir !== undefined) return describe(kernelPath, modulesDir);
  if (kernelPath !== undefined || modulesDir !== undefined) {
    throw notFound(["a kernel needs its modules: give --kernel and --modules together"]);
  }
  const folder = join(options.cacheDir, "kernel");
  const cached = await newestCached(folder);
  if (cached) return cached;

  const tried: string[] = [];
  const ways = [() => fetchDebianKernel(folder, options), hostKernel];
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      options.signal?.throwIfAborted();
      tried.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw notFound(tried);
}

async function newestCached(folder: string): Promise<GuestKernel | undefined> {
  const names = await readdir(folder).catch(() => []);
  const packages = names.filter((name) => name.startsWith("linux-image-"));
  const collator = new Intl.Collator("en", { numeric: true });
  const newest = packages.sort(collator.compare).pop();
  return newest === undefined ? undefined : unpackedKernel(join(folder, newest)).catch(() => undefined);
}

async function fetchDebianKernel(folder: string, options: EnsureGuestKernelOptions): Promise<GuestKernel> {
  const { signal, onProgress } = options;
  const limits = { timeoutMs: DOWNLOAD_TIMEOUT_MS, ...(signal ? { signal } : {}) };
  const depends = (await runTool("apt-cache", ["depends", META_PACKAGE], limits)).toString();
  const name = /Depends: (linux-image-\d\S*-amd64)/.exec(depends)?.[1];
  if (name === undefined) throw new Error(`${META_PACKAGE} is not in the package lists (apt-get update)`);
  onProgress?.(`downloading ${name}`);
  const unpacked = await cachedFolder(join(folder, name), async (temporary) => {
    await mkdir(join(temporary, "download"));
    const download = { ...limits, cwd: join(temporary, "download") };
    await runTool("apt-get", ["-q", "-o", "APT::Sandbox::User=root", "download", name], download);
    const [file] = await readdir(download.cwd);
    onProgress?.(`unpacking ${name}`);
    await runTool("dpkg-deb", ["-x", join(download.cwd, file ?? ""), join(temporary, "all")], limits);
    await rename(join(temporary, "all", "boot"), join(temporary, "boot"));
    const lib = join(temporary, "all", "lib");
    await rename((await isThere(lib)) ? lib : join(temporary, "all", "usr", "lib"), join(temporary, "lib"));
    for (const rest of ["all", "download"]) await rm(join(temporary, rest), { recursive: true });
  });
  return unpackedKernel(unpacked);
}

async function unpackedKernel(folder: string): Promise<GuestKernel> {
  const kernel = (await readdir(join(folder, "boot"))).find((name) => name.startsWith("vmlinuz-"));
  const [modules] = await readdir(join(folder, "lib", "modules"));
  return describe(join(folder, "boot", kernel ?? "vmlinuz"), join(folder, "lib", "modules", modules ?? ""));
}

async function hostKernel(): Promise<GuestKernel> {
  const kernelPath = `/boot/vmlinuz-${release()}`;
  const modulesDir = `/lib/modules/${release()}`;
  await access(kernelPath, constants.R_OK);
  await access(join(modulesDir, "kernel"));
  return describe(kernelPath, modulesDir);
}

async function describe(kernelPath: string, modulesDir: string): Promise<GuestKernel> {
  const bytes = await readFile(kernelPath).catch((cause: NodeJS.ErrnoException) => {
    throw notFound([`${kernelPath} can't be read (${cause.code ?? cause.message})`]);
  });
  if (!(await isThere(join(modulesDir, "kernel")))) {
    throw notFound([`${modulesDir} is no modules folder: it has no folder "kernel"`]);
  }
  return { kernelPath, modulesDir, version: readKernelVersion(bytes) ?? "unknown" };
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

function notFound(tried: readonly string[]): GevulotError {
  const message =
    `No kernel for virtual machines: ${tried.join("; ")}. On Debian and Ubuntu run apt-get update and try again; ` +
    "elsewhere give one: --kernel <bzImage> --modules <its modules folder>.";
  return new GevulotError("GUEST_KERNEL_NOT_FOUND", message, { context: { tried } });
}
