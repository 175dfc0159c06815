import { mkdtemp, open, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { imageInvalid } from "../descriptor.ts";
import { type ImageEntry, type ImageFiles, openImageFiles } from "../imageFiles.ts";
import { isNanos } from "../nanos/openNanos.ts";
import { readImage } from "../readImage.ts";
import type { ImageResources } from "../runConfig.ts";
import { GPU_MODULES, type MissingModule, moduleName, modulesOf, orderModules } from "./gpuModules.ts";

/** One thing that a CUDA program needs in its virtual machine. */
export interface GpuFinding {
  readonly part: "GPU" | "kernel module" | "unified memory" | "libcuda" | "firmware" | "management library";
  readonly state: "ok" | "missing" | "mismatch";
  /** What is there, or what is wrong and what to do. */
  readonly text: string;
}

export interface GpuFacts {
  readonly kernelVersion: string;
  readonly resources: ImageResources;
  readonly entries: readonly ImageEntry[];
  readonly read: (entry: ImageEntry) => Promise<Buffer>;
}

const MAX_FILE_BYTES = 512 * 2 ** 20;
const PACKED = /\.ko\.(xz|zst|gz)$/;

/**
 * Says of an image what a GPU program lacks in it, or what does not fit together: NVIDIA's kernel module is made for one
 * kernel, and user space and firmware are of the module's very version.
 *
 * @throws GevulotError `IMAGE_INVALID`, `TOOL_FAILED`
 */
export async function checkGpuImage(imagePath: string, signal?: AbortSignal): Promise<GpuFinding[]> {
  if (await isNanos(imagePath)) {
    const reason =
      "it is for Nanos, whose GPU driver is a klib of ops (gpu_nvidia); what is checked here is a Linux image";
    throw imageInvalid(imagePath, reason);
  }
  const { versions, resources = {} } = await readImage(imagePath);
  await using files = await openImageFiles(imagePath, signal);
  return await checkGpu({
    kernelVersion: versions.kernel,
    resources,
    entries: files.entries,
    read: (entry) => readEntry(files, entry),
  });
}

async function readEntry(files: ImageFiles, entry: ImageEntry): Promise<Buffer> {
  if (entry.sizeBytes > MAX_FILE_BYTES) return Buffer.alloc(0);
  const folder = await mkdtemp(join(tmpdir(), "gevulot-gpu-"));
  try {
    const file = await open(join(folder, "file"), "w+");
    await files.write(entry, file).finally(() => file.close());
    return await readFile(join(folder, "file"));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export async function checkGpu(facts: GpuFacts): Promise<GpuFinding[]> {
  const { entries, kernelVersion } = facts;
  // As the image's init loads them.
  const files = modulesOf(
    kernelVersion,
    new Map(entries.filter(({ kind }) => kind === "file").map((entry) => [entry.path, entry])),
  );
  const { paths, missing } = await orderModules(GPU_MODULES, files, facts.read);
  const infoOf = async (path: string | undefined): Promise<ModuleInfo> => {
    const entry = path === undefined ? undefined : files.get(path);
    return entry ? moduleInfo(await facts.read(entry)) : {};
  };
  const [module, uvm] = GPU_MODULES.map((name) => paths.find((path) => moduleName(path) === name));
  const info = await infoOf(module);
  return [
    gpuCount(facts.resources),
    module ? moduleFinding(module, info, kernelVersion) : moduleMissing(facts),
    ...missing.map((one) => dependencyMissing(one, facts)),
    uvm ? uvmFinding(uvm, await infoOf(uvm), info, kernelVersion) : UVM_MISSING,
    await libcudaFinding(facts, info.version),
    firmwareFinding(entries, info.version),
    library(entries, "libnvidia-ml.so.1")
      ? { part: "management library", state: "ok", text: "libnvidia-ml.so.1" }
      : {
          part: "management library",
          state: "missing",
          text: "libnvidia-ml.so.1; only some programs need it",
        },
  ];
}

/** A deployment may ask for the GPU, and the management library is only for some. */
export function isUsable(findings: readonly GpuFinding[]): boolean {
  return findings.every(({ part, state }) => state === "ok" || OPTIONAL.includes(part));
}

const OPTIONAL: readonly GpuFinding["part"][] = ["GPU", "management library"];

function gpuCount({ gpus }: ImageResources): GpuFinding {
  if (gpus !== undefined && gpus > 0) return { part: "GPU", state: "ok", text: `asks for ${gpus}` };
  const text = 'the image asks for none: write "RunConfig": {"GPUs": 1}, or ask for one when it is deployed';
  return { part: "GPU", state: "missing", text };
}

interface ModuleInfo {
  readonly version?: string;
  readonly vermagic?: string;
}

/** Of the module's section of texts. */
function moduleInfo(bytes: Buffer): ModuleInfo {
  const field = (name: string): string | undefined => {
    const at = bytes.indexOf(`\0${name}=`);
    const end = bytes.indexOf(0, at + 1);
    return at < 0 || end < 0 ? undefined : bytes.toString("latin1", at + name.length + 2, end);
  };
  const [version, vermagic] = [field("version"), field("vermagic")];
  return { ...(version === undefined ? {} : { version }), ...(vermagic === undefined ? {} : { vermagic }) };
}

function moduleMissing({ entries, kernelVersion }: GpuFacts): GpuFinding {
  const packed = entries.find(
    ({ path }) => PACKED.test(path) && posix.basename(path).startsWith("nvidia.ko"),
  );
  const text = packed
    ? `${packed.path} is packed, and the guest loads it as it is: unpack it`
    : `nvidia.ko for Linux ${kernelVersion}; build NVIDIA's open modules against that kernel's headers and install them in /lib/modules/${kernelVersion}`;
  return { part: "kernel module", state: "missing", text };
}

function dependencyMissing(
  { name, neededBy }: MissingModule,
  { entries, kernelVersion }: GpuFacts,
): GpuFinding {
  const packed = entries.find(({ path }) => PACKED.test(path) && moduleName(path) === name);
  const text = packed
    ? `${packed.path}, which ${neededBy} needs, is packed, and the guest loads it as it is: unpack it`
    : `${name}.ko, which ${neededBy} needs; take it, unpacked, from the package of Linux ${kernelVersion} into /lib/modules/${kernelVersion}`;
  return { part: "kernel module", state: "missing", text };
}

function moduleFinding(path: string, { version, vermagic }: ModuleInfo, kernelVersion: string): GpuFinding {
  const part = "kernel module";
  if (version === undefined || vermagic === undefined) {
    return {
      part,
      state: "mismatch",
      text: `${path} does not say what it is made for: it is no kernel module`,
    };
  }
  const madeFor = vermagic.split(" ")[0];
  if (madeFor !== kernelVersion) {
    const text = `${path} is made for Linux ${madeFor}, and the image has ${kernelVersion}: build it for that, or give --kernel and --modules`;
    return { part, state: "mismatch", text };
  }
  return { part, state: "ok", text: `${path}, driver ${version}` };
}

const UVM_MISSING: GpuFinding = {
  part: "unified memory",
  state: "missing",
  text: "nvidia-uvm.ko; CUDA needs it: install it beside nvidia.ko",
};

function uvmFinding(
  path: string,
  own: ModuleInfo,
  { version }: ModuleInfo,
  kernelVersion: string,
): GpuFinding {
  const part = "unified memory";
  const { state, text } = moduleFinding(path, own, kernelVersion);
  if (state !== "ok" || version === undefined || own.version === version) return { part, state, text };
  const reason = `${path} is of driver ${own.version}, nvidia.ko of ${version}: take both from one driver`;
  return { part, state: "mismatch", text: reason };
}

function library(entries: readonly ImageEntry[], name: string): ImageEntry | undefined {
  return entries.find(({ kind, path }) => kind !== "directory" && posix.basename(path) === name);
}

async function libcudaFinding(facts: GpuFacts, version: string | undefined): Promise<GpuFinding> {
  const part = "libcuda";
  const { entries } = facts;
  const found = library(entries, "libcuda.so.1");
  if (found === undefined) {
    const text =
      "libcuda.so.1; a container toolkit would bring it at run time, here it must be in the image: install the driver's user space (libcuda1, libnvidia-compute) of the module's version";
    return { part, state: "missing", text };
  }
  const target = posix.resolve(posix.dirname(found.path), found.target ?? found.path);
  const file =
    found.kind === "link" ? entries.find(({ kind, path }) => kind === "file" && path === target) : found;
  if (file === undefined)
    return { part, state: "missing", text: `${found.path} leads to ${target}, which is not there` };
  const own = /libcuda\.so\.(\d+\.\d+(?:\.\d+)?)$/.exec(file.path)?.[1];
  const fits = own === undefined ? (await facts.read(file)).includes(version ?? "\0") : own === version;
  if (version === undefined || fits) {
    return { part, state: "ok", text: `${found.path}${own === undefined ? "" : `, driver ${own}`}` };
  }
  const text = `${found.path} is of driver ${own ?? "another version"}, the kernel module of ${version}: take both from one driver`;
  return { part, state: "mismatch", text };
}

function firmwareFinding(entries: readonly ImageEntry[], version: string | undefined): GpuFinding {
  const part = "firmware";
  const firmware = /^(?:\/usr)?\/lib\/firmware\/nvidia\/([^/]+)\/gsp_\w+\.bin$/;
  const versions = [...new Set(entries.flatMap(({ path }) => firmware.exec(path)?.[1] ?? []))];
  const place = `/lib/firmware/nvidia/${version ?? "<driver's version>"}`;
  if (versions.length === 0) {
    return {
      part,
      state: "missing",
      text: `${place}/gsp_*.bin; take it from the driver's package (nvidia-firmware)`,
    };
  }
  if (version !== undefined && !versions.includes(version)) {
    const text = `it is of driver ${versions.join(", ")}, the kernel module of ${version}: put its own into ${place}`;
    return { part, state: "mismatch", text };
  }
  return { part, state: "ok", text: place };
}
