import { readdir, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { GevulotError } from "gevulot-sdk";
import { runTool } from "./runTool.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    KERNEL_MODULE_MISSING: { readonly module: string; readonly folder: string };
  }
}

export interface KernelModule {
  /** Without an ending, with underscores: as `depends=` writes it. */
  readonly name: string;
  readonly data: Buffer;
}

/**
 * What the guest loads at which moment, in this order; what a module depends on comes before it. A module that is
 * built into the kernel is left out.
 */
export const MODULE_SETS = {
  /** Always: the bus, host entropy, the root disk, its file system, the workspace. */
  base: ["virtio_pci", "virtio_rng", "virtio_blk", "squashfs", "9pnet_virtio", "9p"],
  /** ext4, and the checksums that it finds by name. */
  volumes: ["crc32c_generic", "ext4"],
  /** For a root that takes writes. */
  overlay: ["overlay"],
  /** The existing node shows the disk as SCSI. */
  scsi: ["virtio_scsi", "sd_mod"],
  vsock: ["vmw_vsock_virtio_transport"],
  /** Only when asked for by the kernel's command line (`gv.load=vsock gv.load=loopback`): VSOCK within a guest. */
  loopback: ["vsock_loopback"],
} as const;

export type ModuleSet = keyof typeof MODULE_SETS;

export interface LoadedModules {
  /** Every module once. */
  readonly modules: readonly KernelModule[];
  /** Names by set, in the order of loading; a set leaves out what an earlier one has loaded. */
  readonly order: Readonly<Record<ModuleSet, readonly string[]>>;
}

const MAX_MODULES = 200;
const SIGNATURE_MARK = Buffer.from("~Module signature appended~\n");
const SIGNATURE_INFO_BYTES = 12;

/**
 * Reads the modules that a guest needs from a kernel's modules folder, with what they depend on. Reads the modules
 * themselves: `modules.dep` is made at installation and lacks in an unpacked package.
 *
 * @throws GevulotError `KERNEL_MODULE_MISSING`
 */
export async function loadKernelModules(folder: string, signal?: AbortSignal): Promise<LoadedModules> {
  const files = await listModules(folder);
  const builtIn = await listBuiltIn(folder);
  const loaded = new Map<string, KernelModule>();

  const load = async (name: string): Promise<string[]> => {
    if (loaded.has(name) || builtIn.has(name)) return [];
    signal?.throwIfAborted();
    const file = files.get(name);
    if (file === undefined || loaded.size >= MAX_MODULES) throw missing(name, folder);
    const data = withoutSignature(await readModule(file, signal));
    const order: string[] = [];
    for (const dependency of readDependencies(data)) order.push(...(await load(dependency)));
    loaded.set(name, { name, data });
    return [...order, name];
  };

  const order = {
    base: [] as string[],
    volumes: [] as string[],
    overlay: [] as string[],
    scsi: [] as string[],
    vsock: [] as string[],
    loopback: [] as string[],
  };
  for (const set of Object.keys(MODULE_SETS) as ModuleSet[]) {
    for (const name of MODULE_SETS[set]) order[set].push(...(await load(name)));
  }
  return { modules: [...loaded.values()], order };
}

/** Names in a module's `depends=` field. */
export function readDependencies(module: Buffer): string[] {
  const at = module.indexOf("\0depends=");
  if (at < 0) return [];
  const start = at + "\0depends=".length;
  const text = module.toString("latin1", start, module.indexOf(0, start));
  return text.split(",").filter(Boolean).map(toName);
}

/**
 * Checking signatures takes a guest without KVM a third of the time that loading takes, and no one but us could have
 * changed a module. The kernel takes unsigned ones where nothing (Secure Boot) forbids it.
 */
export function withoutSignature(module: Buffer): Buffer {
  if (!module.subarray(-SIGNATURE_MARK.length).equals(SIGNATURE_MARK)) return module;
  const end = module.length - SIGNATURE_MARK.length - SIGNATURE_INFO_BYTES;
  if (end < 0) return module;
  // The last field of what stands before the mark: how long the signature is.
  const signatureBytes = module.readUInt32BE(end + SIGNATURE_INFO_BYTES - 4);
  return signatureBytes > end ? module : module.subarray(0, end - signatureBytes);
}

function toName(text: string): string {
  return text.replaceAll("-", "_");
}

async function listModules(folder: string): Promise<Map<string, string>> {
  const paths = await readdir(join(folder, "kernel"), { recursive: true }).catch(() => []);
  const modules = paths.filter((path) => /\.ko(\.(xz|zst|gz))?$/.test(path));
  return new Map(
    modules.map((path) => [toName(basename(path).replace(/\.ko.*/, "")), join(folder, "kernel", path)]),
  );
}

async function listBuiltIn(folder: string): Promise<Set<string>> {
  const text = await readFile(join(folder, "modules.builtin"), "utf8").catch(() => "");
  return new Set(
    text
      .split("\n")
      .filter(Boolean)
      .map((path) => toName(basename(path, ".ko"))),
  );
}

async function readModule(file: string, signal?: AbortSignal): Promise<Buffer> {
  const packed = await readFile(file);
  const options = { input: packed, ...(signal ? { signal } : {}) };
  if (file.endsWith(".xz")) return runTool("xz", ["-dc"], options);
  if (file.endsWith(".zst")) return runTool("zstd", ["-dcq"], options);
  return file.endsWith(".gz") ? gunzipSync(packed) : packed;
}

function missing(module: string, folder: string): GevulotError {
  const message =
    `The kernel module ${module} is not in ${folder}, and it is not built into the kernel. ` +
    "Take a kernel that has it: Debian's linux-image-amd64 does, the cloud kernels do not.";
  return new GevulotError("KERNEL_MODULE_MISSING", message, { context: { module, folder } });
}
