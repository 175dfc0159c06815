import { createHash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, open, readFile, stat } from "node:fs/promises";
import { join, posix } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import { isGevulotError } from "gevulot-sdk";
import { z } from "zod";
import { runTool } from "../runTool.ts";
import { containerInvalid } from "./containerError.ts";
import { readTar, TarProblem } from "./tar.ts";

/** A container image, ready to be read. */
export interface Container {
  readonly config: ContainerConfig;
  /** From the lowest up; files on this machine, packed or not, with the SHA-256 of what is in them unpacked. */
  readonly layers: readonly { readonly path: string; readonly sha256: string }[];
}

export interface ContainerConfig {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir?: string;
  readonly user?: string;
}

export interface OpenContainerOptions {
  /** A `docker save` archive, an OCI layout (folder or archive), or the name of an image of podman or docker. */
  readonly container: string;
  /** For what is unpacked; removed by the caller. */
  readonly scratchDir: string;
  readonly signal?: AbortSignal | undefined;
}

/** The files of an archive or a folder, by their names in it. */
type Files = (name: string) => Promise<string | undefined>;

const MAX_JSON_BYTES = 16 * 2 ** 20;
const MAX_ARCHIVE_FILES = 10_000;
const MAX_NESTING = 4;
const DIGEST = /^sha256:([0-9a-f]{64})$/;
const digest = z.string().regex(DIGEST);
const descriptor = z.object({
  digest,
  platform: z.object({ os: z.string(), architecture: z.string() }).partial().optional(),
});
const ociSchema = z.union([
  z.object({ manifests: z.array(descriptor).min(1).max(1000) }),
  z.object({ config: descriptor, layers: z.array(descriptor).max(1000) }),
]);
const dockerSchema = z.array(z.object({ Config: z.string(), Layers: z.array(z.string()).max(1000) })).min(1);
const texts = z.array(z.string()).nullish();
const configSchema = z.object({
  os: z.string(),
  architecture: z.string(),
  config: z
    .object({
      Entrypoint: texts,
      Cmd: texts,
      Env: texts,
      WorkingDir: z.string().nullish(),
      User: z.string().nullish(),
    })
    .nullish(),
  rootfs: z.object({ diff_ids: z.array(digest) }),
});

/** @throws GevulotError `CONTAINER_INVALID`, `TOOL_NOT_FOUND`, `TOOL_FAILED` */
export async function openContainer(options: OpenContainerOptions): Promise<Container> {
  const { container } = options;
  const found = await stat(container).catch(() => null);
  const files = found?.isDirectory()
    ? folderFiles(container)
    : await archiveFiles(options, found ? container : await saveByEngine(options));
  const isOci = (await files("index.json")) !== undefined;
  // Docker's newer archives are both; its own file says which of several images was asked for.
  if ((await files("manifest.json")) !== undefined) return readDocker(container, files);
  if (isOci) return readOci(container, files);
  const reason = found?.isDirectory()
    ? "the folder is no OCI layout: it has no index.json; build and save it first (podman build, podman save)"
    : "it is neither a docker save archive nor an OCI archive: manifest.json and index.json are missing";
  throw containerInvalid(container, reason);
}

async function readDocker(container: string, files: Files): Promise<Container> {
  const manifests = await readJson(container, files, "manifest.json", dockerSchema);
  const [manifest] = manifests;
  if (manifest === undefined || manifests.length > 1) {
    throw containerInvalid(container, `it holds ${manifests.length} images; save one of them`);
  }
  const config = await readJson(container, files, manifest.Config, configSchema);
  return toContainer(container, config, await pathsOf(container, files, manifest.Layers));
}

async function readOci(container: string, files: Files): Promise<Container> {
  let name = "index.json";
  for (let depth = 0; depth < MAX_NESTING; depth++) {
    const json = await readJson(container, files, name, ociSchema);
    if ("manifests" in json) {
      const fitting = json.manifests.filter(({ platform }) => isOurs(platform));
      const next = fitting[0];
      if (next === undefined) throw containerInvalid(container, "it has no image for linux/amd64");
      if (fitting.length > 1)
        throw containerInvalid(container, `it holds ${fitting.length} images; save one`);
      name = blobName(next.digest);
      continue;
    }
    const config = await readJson(container, files, blobName(json.config.digest), configSchema);
    const layers = json.layers.map((layer) => blobName(layer.digest));
    return toContainer(container, config, await pathsOf(container, files, layers));
  }
  throw containerInvalid(container, "its lists are nested too deep");
}

function isOurs(
  platform: { os?: string | undefined; architecture?: string | undefined } | undefined,
): boolean {
  if (platform === undefined) return true;
  return (platform.os ?? "linux") === "linux" && (platform.architecture ?? "amd64") === "amd64";
}

function blobName(of: string): string {
  return `blobs/sha256/${DIGEST.exec(of)?.[1]}`;
}

function toContainer(
  container: string,
  config: z.infer<typeof configSchema>,
  layers: readonly string[],
): Container {
  if (!isOurs(config)) {
    throw containerInvalid(
      container,
      `it is for ${config.os}/${config.architecture}; build it for linux/amd64`,
    );
  }
  const { diff_ids: ids } = config.rootfs;
  if (ids.length !== layers.length) {
    throw containerInvalid(container, `it has ${layers.length} layers and says that it has ${ids.length}`);
  }
  const { Entrypoint, Cmd, Env, WorkingDir, User } = config.config ?? {};
  return {
    config: {
      argv: [...(Entrypoint ?? []), ...(Cmd ?? [])],
      env: Object.fromEntries((Env ?? []).map(splitEnv)),
      ...(WorkingDir && WorkingDir !== "/" ? { workingDir: posix.resolve("/", WorkingDir) } : {}),
      ...(User ? { user: User } : {}),
    },
    layers: layers.map((path, at) => ({ path, sha256: DIGEST.exec(ids[at] ?? "")?.[1] ?? "" })),
  };
}

function splitEnv(line: string): [string, string] {
  const at = line.indexOf("=");
  return at < 0 ? [line, ""] : [line.slice(0, at), line.slice(at + 1)];
}

async function pathsOf(container: string, files: Files, names: readonly string[]): Promise<string[]> {
  return Promise.all(
    names.map(async (name) => {
      const path = await files(name);
      if (path === undefined) throw containerInvalid(container, `its layer ${name} is missing`);
      return path;
    }),
  );
}

async function readJson<T>(container: string, files: Files, name: string, schema: z.ZodType<T>): Promise<T> {
  const path = await files(name);
  if (path === undefined) throw containerInvalid(container, `its ${name} is missing`);
  if ((await stat(path)).size > MAX_JSON_BYTES) throw containerInvalid(container, `its ${name} is too long`);
  const bytes = await readFile(path);
  const wanted = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1];
  if (wanted !== undefined && createHash("sha256").update(bytes).digest("hex") !== wanted) {
    throw containerInvalid(container, `its ${name} is damaged`);
  }
  try {
    return schema.parse(JSON.parse(bytes.toString()));
  } catch (cause) {
    throw containerInvalid(container, `its ${name} is not understood`, cause);
  }
}

/** Names come from the container: only plain ones below the folder are looked up, and no links. */
function folderFiles(folder: string): Files {
  return async (name) => {
    const parts = name.split("/");
    if (parts.some((part) => ["", ".", ".."].includes(part))) return undefined;
    const path = join(folder, name);
    return stat(path).then(
      (found) => (found.isFile() ? path : undefined),
      () => undefined,
    );
  };
}

/** Its files get names of ours: a name in an archive leads nowhere. */
async function archiveFiles(options: OpenContainerOptions, archive: string): Promise<Files> {
  const { container, scratchDir, signal } = options;
  const folder = join(scratchDir, "archive");
  await mkdir(folder, { recursive: true });
  const files = new Map<string, string>();
  const links = new Map<string, string>();
  try {
    const source = await openUnpacked(archive, join(scratchDir, "archive.tar"), signal);
    for await (const entry of readTar(source)) {
      signal?.throwIfAborted();
      const name = posix.normalize(entry.path).replace(/^\.?\//, "");
      if (files.size + links.size > MAX_ARCHIVE_FILES) throw new TarProblem("it has too many files");
      if (entry.kind === "link") links.set(name, posix.join(posix.dirname(name), entry.target));
      if (entry.kind === "hardLink") links.set(name, posix.normalize(entry.target));
      if (entry.kind !== "file") continue;
      const path = join(folder, String(files.size));
      await pipeline(entry.body, createWriteStream(path));
      files.set(name, path);
    }
  } catch (cause) {
    signal?.throwIfAborted();
    if (cause instanceof TarProblem || isZlibError(cause)) {
      throw containerInvalid(container, cause instanceof TarProblem ? cause.message : "it is damaged", cause);
    }
    throw cause;
  }
  return async (name) => files.get(name) ?? files.get(links.get(name) ?? "");
}

export function isZlibError(error: unknown): boolean {
  return /^Z_/.test(String((error as NodeJS.ErrnoException | undefined)?.code));
}

/** A file as it is, without its gzip or zstd. */
export async function openUnpacked(
  path: string,
  scratchPath: string,
  signal?: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  const file = await open(path, "r");
  const { buffer: magic } = await file.read(Buffer.alloc(4), 0, 4, 0).finally(() => file.close());
  if (magic.readUInt32LE(0) === 0xfd2fb528) {
    const output = await open(scratchPath, "w");
    const options = { stdout: output.fd, ...(signal ? { signal } : {}) };
    await runTool("zstd", ["-dcq", path], options).finally(() => output.close());
    return createReadStream(scratchPath);
  }
  const source = createReadStream(path);
  if (magic.readUInt16BE(0) !== 0x1f8b) return source;
  const gunzip = createGunzip();
  source.on("error", (error) => gunzip.destroy(error));
  gunzip.on("close", () => source.destroy());
  return source.pipe(gunzip);
}

async function saveByEngine({ container, scratchDir, signal }: OpenContainerOptions): Promise<string> {
  // Neither an option of the engine nor a path that is missing.
  if (!/^[A-Za-z0-9][A-Za-z0-9._/:@-]*$/.test(container)) {
    throw containerInvalid(container, "there is no such file, and it is no image's name");
  }
  const path = join(scratchDir, "saved.tar");
  const engines = {
    podman: ["save", "--format", "oci-archive", "-o", path],
    docker: ["save", "-o", path],
  } as const;
  const problems: string[] = [];
  for (const [engine, args] of Object.entries(engines) as [keyof typeof engines, readonly string[]][]) {
    try {
      await runTool(engine, [...args, container], signal ? { signal } : {});
      return path;
    } catch (error) {
      if (isGevulotError(error, "TOOL_NOT_FOUND")) problems.push(`${engine} is not installed`);
      else if (isGevulotError(error, "TOOL_FAILED"))
        problems.push(`${engine}: ${error.context.stderr.trim()}`);
      else throw error;
    }
  }
  const reason = `there is no such file, and no engine has an image of that name (${problems.join("; ")})`;
  throw containerInvalid(container, reason);
}
