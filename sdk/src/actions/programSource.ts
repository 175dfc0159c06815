import type { ClientContext } from "../context/context.ts";
import type { HostedFiles } from "../context/hostedFiles.ts";
import type { ImageResources } from "../context/platform.ts";
import { GevulotError } from "../errors.ts";
import { isHash } from "../protocol/hash.ts";
import { createProgramMetadata, DEFAULT_RESOURCES } from "../protocol/program.ts";
import { formatVolume, type ProgramVolume, parseVolume, urlWithVolumes } from "../protocol/programVolumes.ts";
import type { Hash, ProgramMetadata, Resources } from "../protocol/transaction.ts";
import { getProgram } from "./getProgram.ts";

declare module "../errors.ts" {
  interface ErrorContexts {
    PROGRAM_INVALID: { role: "prover" | "verifier"; problem: string };
  }
}

const MAX_U64 = 2n ** 64n - 1n;
/** What the existing nodes can store (protocol section 11). */
const MAX_URL_CHARS = 1_024;

/** A program to deploy: an image file of this machine, one that the node finds at a URL, or one deployed before. */
export type ProgramSource = LocalProgram | RemoteProgram | DeployedProgram;

export interface DeployedProgram {
  /** Hash of a program that the node has; its metadata is taken as it is there. */
  readonly hash: Hash;
}

interface ProgramOptions {
  /** Part of the program's identity; default: the image's file name. */
  readonly name?: string;
  /**
   * What is left out is as a local image itself says (its manifest's RunConfig), else as in the protocol: 2048 MiB,
   * 2 cores, no GPU.
   */
  readonly resources?: Partial<Readonly<Record<keyof Resources, number | bigint>>>;
  /**
   * Volumes of the nodes' machines, such as parameters that are too large to travel; besides those that the image names, or
   * instead of one at the same path. Part of the program's identity. An extension of the devnet: others don't mount them.
   */
  readonly volumes?: readonly ProgramVolume[] | undefined;
}

export interface LocalProgram extends ProgramOptions {
  /** Path of the image. Served by the client until the node has it, unless there is a `url`. */
  readonly file: string;
  /** Where the node finds the same file; makes a program hash that stays from one deployment to the next. */
  readonly url?: string;
}

export interface RemoteProgram extends ProgramOptions {
  readonly url: string;
  /** BLAKE3 of the image, 64 hex digits. */
  readonly checksum: string;
  /** Default: the last part of the URL's path. */
  readonly fileName?: string;
}

/** Makes the metadata; a local image is hashed, and served from now on. Throws `PROGRAM_INVALID`. */
export async function resolveProgram(
  context: ClientContext,
  hosted: HostedFiles,
  role: "prover" | "verifier",
  source: ProgramSource,
  signal: AbortSignal | undefined,
): Promise<ProgramMetadata> {
  if (typeof source !== "object" || source === null)
    throw programInvalid(role, `it is missing; give { file }, { url, checksum } or { hash }`);
  if ("hash" in source) {
    if ("volumes" in source && source.volumes !== undefined)
      throw programInvalid(role, "its volumes are part of what was deployed; deploy its image for others");
    return getProgram(context, source.hash, { signal });
  }
  const volumes = volumeTexts(role, source.volumes);
  const resources = resolveResources(role, source.resources, await imageResources(context, source));
  if ("file" in source) {
    if (typeof source.file !== "string")
      throw programInvalid(role, "its file is no path; give one as a string");
    const imageFileName = lastPart(source.file);
    const image =
      source.url === undefined
        ? await hosted.host(source.file, imageFileName)
        : {
            url: source.url,
            checksum: await hosted.checksum(source.file),
          };
    const url = imageUrl(role, image.url, volumes);
    return metadata(source.name ?? imageFileName, imageFileName, url, image.checksum, resources);
  }
  if (source.url === undefined) throw programInvalid(role, "it has no file, url or hash; give one of them");
  const checksum = String(source.checksum).toLowerCase();
  if (!isHash(checksum))
    throw programInvalid(
      role,
      `its checksum "${source.checksum}" is not 64 hex digits; give the image's BLAKE3`,
    );
  const imageFileName = source.fileName ?? lastPart(urlPath(role, source.url));
  if (imageFileName === "")
    throw programInvalid(role, `its URL ${source.url} ends without a file name; give fileName`);
  const url = imageUrl(role, source.url, volumes);
  return metadata(source.name ?? imageFileName, imageFileName, url, checksum, resources);
}

function metadata(
  name: string,
  imageFileName: string,
  imageFileUrl: string,
  imageFileChecksum: string,
  resources: Resources | null,
): ProgramMetadata {
  return createProgramMetadata({ name, imageFileName, imageFileUrl, imageFileChecksum, resources });
}

function volumeTexts(role: "prover" | "verifier", volumes: ProgramOptions["volumes"] = []): string[] {
  if (!Array.isArray(volumes)) throw programInvalid(role, "its volumes are no array of { name, path }");
  return volumes.map((volume) => {
    const text = formatVolume(Object(volume));
    if (parseVolume(text) !== null) return text;
    throw programInvalid(
      role,
      `its volume ${text} can't be mounted; give a name of letters, digits, ".", "_" and "-", and an absolute path`,
    );
  });
}

function imageUrl(role: "prover" | "verifier", bare: string, volumes: readonly string[]): string {
  const url = urlWithVolumes(bare, volumes);
  if (volumes.length > 0 && url.length > MAX_URL_CHARS)
    throw programInvalid(role, `its URL with its volumes is longer than ${MAX_URL_CHARS} characters`);
  return url;
}

async function imageResources(context: ClientContext, source: ProgramSource): Promise<ImageResources> {
  if (!("file" in source) || typeof source.file !== "string") return {};
  return (await context.platform.local?.readImageResources(source.file)) ?? {};
}

function resolveResources(
  role: "prover" | "verifier",
  asked: ProgramOptions["resources"],
  own: ImageResources,
): Resources | null {
  if (asked === undefined && Object.keys(own).length === 0) return null;
  const entry = (name: keyof Resources, min: bigint): bigint => {
    const value = asked?.[name] ?? own[name] ?? DEFAULT_RESOURCES[name];
    const isWhole = typeof value === "bigint" || Number.isSafeInteger(value);
    if (!isWhole || BigInt(value) < min || BigInt(value) > MAX_U64)
      throw programInvalid(role, `its ${name} is ${value}; give a whole number from ${min} on`);
    return BigInt(value);
  };
  return { memMib: entry("memMib", 1n), cpus: entry("cpus", 1n), gpus: entry("gpus", 0n) };
}

function urlPath(role: "prover" | "verifier", url: string): string {
  try {
    return decodeURIComponent(new URL(url).pathname);
  } catch {
    throw programInvalid(role, `"${url}" is not a URL`);
  }
}

function lastPart(path: string): string {
  return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

export function programInvalid(
  role: "prover" | "verifier",
  problem: string,
): GevulotError<"PROGRAM_INVALID"> {
  return new GevulotError("PROGRAM_INVALID", `The ${role} can't be deployed: ${problem}.`, {
    context: { role, problem },
  });
}
