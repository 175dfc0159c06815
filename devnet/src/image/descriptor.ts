import { createHash } from "node:crypto";
import { GevulotError } from "gevulot-sdk";
import { z } from "zod";
import type { ExecProgram } from "./execProgram.ts";
import { VOLUME_LABEL, type VolumeMount } from "./manifestMounts.ts";
import { type ImageResources, MAX_CPUS, MAX_DEADLINE_SECONDS, MAX_GPUS, MAX_MEM_MIB } from "./runConfig.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    IMAGE_INVALID: { readonly path: string; readonly reason: string };
  }
}

/** In the free space between the partition table and the first partition. */
export const DESCRIPTOR_OFFSET = 4096;
export const MAX_DESCRIPTOR_BYTES = 256 * 1024;
const FORMAT_VERSION = 1;

const MAGIC = Buffer.from("GEVULOT-IMAGE\0\0\0", "latin1");
const HEADER_BYTES = MAGIC.length + 4 + 4 + 32;
const MAX_TEXT = 128 * 1024;
const MAX_BYTES = 2 ** 44;
const MAX_OUTPUTS = 10_000;
/** Each is held in memory as a whole. */
const MAX_BOOT_FILE_BYTES = 128 * 2 ** 20;

const text = z.string().max(MAX_TEXT);
/** Absolute, and nowhere up. */
const place = text.regex(/^(\/(?!\.\.?(\/|$))[^/\0]+)+$/);
/** Under the workspace. */
const relativePlace = text.regex(/^(?!\.\.?(\/|$))[^/\0]+(\/(?!\.\.?(\/|$))[^/\0]+)*$/);
const count = z.int().min(0).max(MAX_BYTES);
const extent = z.strictObject({
  offset: count,
  length: count.min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
/** Read into memory at every start. */
const bootFile = extent.extend({ length: count.min(1).max(MAX_BOOT_FILE_BYTES) });

const schema = z.strictObject({
  sizeBytes: count,
  firstSector: bootFile,
  boot: bootFile,
  kernel: bootFile,
  initrd: bootFile,
  root: extent,
  program: z.strictObject({
    kind: z.enum(["js", "elf"]),
    path: place,
    args: z.array(text),
    env: z.record(z.string(), text),
    workspace: place,
    readonlyRootfs: z.boolean(),
    cwd: text.regex(/^\/[^\0]*$/).optional(),
    needsVsock: z.boolean().optional(),
    ownSystem: z.boolean().optional(),
    exec: z
      .strictObject({ proofFile: relativePlace.optional(), outputs: z.array(relativePlace).max(MAX_OUTPUTS) })
      .optional(),
    volumes: z
      .array(z.strictObject({ label: text.regex(VOLUME_LABEL), path: place, readonly: z.boolean() }))
      .optional(),
  }),
  resources: z
    .strictObject({
      memMib: z.int().min(1).max(MAX_MEM_MIB).optional(),
      cpus: z.int().min(1).max(MAX_CPUS).optional(),
      gpus: z.int().min(0).max(MAX_GPUS).optional(),
    })
    .optional(),
  deadlineSeconds: z.int().min(1).max(MAX_DEADLINE_SECONDS).optional(),
  versions: z.strictObject({ kernel: text, node: text.optional() }),
});

type Parsed = z.infer<typeof schema>;

/** A piece of the image file. */
export interface ImageExtent {
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

/** What an image says of itself; all that a runner needs, without reading its file systems. */
export interface ImageInfo {
  readonly sizeBytes: number;
  /** Boot code and partition table. */
  readonly firstSector: ImageExtent;
  /** The boot partition, FAT16: kernel, initial RAM disk and boot loader. */
  readonly boot: ImageExtent;
  /** A bzImage, in the boot partition. */
  readonly kernel: ImageExtent;
  readonly initrd: ImageExtent;
  /** A squashfs. */
  readonly root: ImageExtent;
  readonly program: ImageProgram;
  /** What the program asks for where a deployment says nothing. */
  readonly resources?: ImageResources | undefined;
  /** Longest time of one task; a node may allow less. */
  readonly deadlineSeconds?: number | undefined;
  readonly versions: { readonly kernel: string; readonly node?: string | undefined };
}

export interface ImageProgram {
  /** `js` runs under the image's Node.js, `elf` as it is: an ELF file, or a script of a container. */
  readonly kind: "js" | "elf";
  /** Inside the image, absolute. */
  readonly path: string;
  /** Without the program itself. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Where the task's files appear. */
  readonly workspace: string;
  readonly readonlyRootfs: boolean;
  /** Its first working folder; default `/`. */
  readonly cwd?: string | undefined;
  /** It takes its task over VSOCK alone, as far as its file tells. */
  readonly needsVsock?: boolean | undefined;
  /** It comes with a system of its own, as a container's does. */
  readonly ownSystem?: boolean | undefined;
  /** Where it knows nothing of tasks. */
  readonly exec?: ExecProgram | undefined;
  /** Volumes of the node that it reads or writes. */
  readonly volumes?: readonly VolumeMount[] | undefined;
}

export function encodeDescriptor(info: ImageInfo): Buffer {
  const bytes = encodeRecord(info);
  if (bytes.length > MAX_DESCRIPTOR_BYTES) {
    const reason = `its arguments and environment take ${bytes.length - HEADER_BYTES} bytes, and ${MAX_DESCRIPTOR_BYTES} is the limit`;
    throw new GevulotError("IMAGE_INVALID", `The image can't be made: ${reason}. Put the data into Files.`, {
      context: { path: "", reason },
    });
  }
  return bytes;
}

/** Magic (16 bytes), version and length of the JSON (u32, little endian), its SHA-256, the JSON. */
export function encodeRecord(info: ImageInfo | Pick<ImageInfo, "resources">): Buffer {
  const json = Buffer.from(JSON.stringify(info));
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header.writeUInt32LE(FORMAT_VERSION, 16);
  header.writeUInt32LE(json.length, 20);
  header.set(createHash("sha256").update(json).digest(), 24);
  return Buffer.concat([header, json]);
}

/**
 * Reads what stands at {@link DESCRIPTOR_OFFSET}, and checks it against the file's size.
 *
 * @param bytes from there on, as many as there are up to {@link MAX_DESCRIPTOR_BYTES}.
 * @throws GevulotError `IMAGE_INVALID`
 */
export function decodeDescriptor(bytes: Buffer, path: string, fileBytes: number): ImageInfo {
  if (bytes.length < HEADER_BYTES || !bytes.subarray(0, MAGIC.length).equals(MAGIC)) {
    throw imageInvalid(path, "it is not an image made by `gevulot-devnet image build`; make one with it");
  }
  const version = bytes.readUInt32LE(16);
  if (version !== FORMAT_VERSION) {
    throw imageInvalid(
      path,
      `its format is version ${version} and this release knows ${FORMAT_VERSION}; build the image again`,
    );
  }
  const end = HEADER_BYTES + bytes.readUInt32LE(20);
  const json = bytes.subarray(HEADER_BYTES, end);
  const isWhole =
    end <= bytes.length && createHash("sha256").update(json).digest().equals(bytes.subarray(24, 56));
  if (!isWhole) throw imageInvalid(path, "its description is damaged; build or download it again");
  const info = parse(json.toString());
  if (!info) throw imageInvalid(path, "its description is not understood; build it again with this release");
  if (info.sizeBytes !== fileBytes) {
    const state = fileBytes < info.sizeBytes ? "cut off" : "too long";
    throw imageInvalid(
      path,
      `it is ${state}: ${fileBytes} of ${info.sizeBytes} bytes; build or download it again`,
    );
  }
  const fits = [info.firstSector, info.boot, info.kernel, info.initrd, info.root].every(
    (one) => one.offset + one.length <= fileBytes,
  );
  if (!fits) throw imageInvalid(path, "its parts lie outside the file; build it again");
  return info;
}

function parse(json: string): Parsed | undefined {
  try {
    return schema.parse(JSON.parse(json));
  } catch {
    return undefined;
  }
}

export function imageInvalid(path: string, reason: string): GevulotError<"IMAGE_INVALID"> {
  return new GevulotError("IMAGE_INVALID", `${path} can't be used: ${reason}.`, {
    context: { path, reason },
  });
}
