import { isIP } from "node:net";
import { GevulotError } from "gevulot-sdk";
import { z } from "zod";
import { type ExecProgram, readExecProgram } from "./execProgram.ts";
import { type Mounts, readMounts } from "./manifestMounts.ts";
import { nearestName } from "./nearestName.ts";
import { type RunConfig, readRunConfig } from "./runConfig.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    MANIFEST_INVALID: { readonly key: string; readonly reason: string };
  }
}

/** A program's manifest, as ops has it: the protocol's packaging page, section 2. Keys in any case. */
export interface Manifest extends Mounts {
  /** Overrides the program named elsewhere. Relative to the working folder. */
  readonly program?: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly dirs: readonly string[];
  /** Pattern of host files to a folder of the image. */
  readonly mapDirs: Readonly<Record<string, string>>;
  /** As written; {@link Mounts} is what they come to. */
  readonly mounts: Readonly<Record<string, string>>;
  readonly readonlyRootfs: boolean;
  /** The program's first working folder. */
  readonly cwd?: string;
  /** Flags of the root tuple, as written. */
  readonly passthrough: Readonly<Record<string, unknown>>;
  readonly rebootOnExit: boolean;
  /** Ours: the program knows nothing of tasks. */
  readonly exec?: ExecProgram;
  readonly runConfig: RunConfig;
  /** Before the paths of libraries and of files of the host. */
  readonly targetRoot?: string;
  readonly nameServers: readonly string[];
  readonly klibs: readonly string[];
  readonly klibDir?: string;
  readonly boot?: string;
  readonly kernel?: string;
  readonly baseVolumeSize?: string;
  readonly nanosVersion?: string;
  readonly cloudConfig?: Readonly<Record<string, unknown>>;
}

/** What the shell of a Linux guest can set. */
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;
const ANY_ENV_NAME = /^[^=\0]+$/;
const MAX_ENTRIES = 10_000;
const MAX_TEXT = 128 * 1024;
const text = z
  .string()
  .max(MAX_TEXT)
  .refine((value) => !value.includes("\0"), "must not hold a NUL byte");
const texts = z.array(text).max(MAX_ENTRIES).default([]);
const textMap = z.record(text, text).default({});
const anything = z.record(z.string(), z.unknown());

const schema = z.strictObject({
  Program: text.min(1, "must not be empty").optional(),
  Args: texts,
  Env: z.record(z.string().regex(ANY_ENV_NAME, "is no name of an environment variable"), text).default({}),
  Files: texts,
  Dirs: texts,
  MapDirs: textMap,
  Mounts: textMap,
  ManifestPassthrough: anything.default({}),
  RebootOnExit: z.boolean().default(false),
  Klibs: texts,
  BaseVolumeSz: text.optional(),
  TargetRoot: text.min(1, "must not be empty").optional(),
  Boot: text.optional(),
  Kernel: text.optional(),
  KlibDir: text.optional(),
  NanosVersion: text.optional(),
  NameServers: z
    .array(z.string().refine((value) => isIP(value) !== 0, "must be addresses such as 8.8.8.8"))
    .max(MAX_ENTRIES)
    .default([]),
  RunConfig: anything.default({}),
  Exec: z.union([z.boolean(), z.strictObject({ ProofFile: text.optional(), Outputs: texts })]).default(false),
  CloudConfig: anything.optional(),
});

const MANIFEST_KEYS: readonly string[] = Object.keys(schema.shape);

/**
 * Checks a manifest that came out of JSON.
 *
 * @throws GevulotError `MANIFEST_INVALID`, naming the key.
 */
export function parseManifest(json: unknown): Manifest {
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw invalid("", 'a manifest is a JSON object, e.g. {"Args": [], "Mounts": {"%1": "/workspace"}}');
  }
  const result = schema.safeParse(withKnownKeys(json));
  if (!result.success) {
    const issue = result.error.issues[0];
    throw invalid(issue?.path.join(".") ?? "", issueText(issue));
  }
  const manifest = result.data;
  const passthrough = manifest.ManifestPassthrough;
  const mounts = readMounts(manifest.Mounts, (reason) => invalid("Mounts", reason));
  return {
    args: manifest.Args,
    env: manifest.Env,
    files: manifest.Files,
    dirs: manifest.Dirs,
    mapDirs: manifest.MapDirs,
    mounts: manifest.Mounts,
    ...mounts,
    ...readPassthrough(passthrough),
    passthrough,
    rebootOnExit: manifest.RebootOnExit,
    nameServers: manifest.NameServers,
    klibs: manifest.Klibs,
    runConfig: readRunConfig(manifest.RunConfig, (key, reason) => invalid(`RunConfig.${key}`, reason)),
    ...readExec(manifest.Exec, mounts.workspace),
    ...present({
      program: manifest.Program,
      targetRoot: manifest.TargetRoot,
      boot: manifest.Boot,
      kernel: manifest.Kernel,
      klibDir: manifest.KlibDir,
      baseVolumeSize: manifest.BaseVolumeSz,
      nanosVersion: manifest.NanosVersion,
      cloudConfig: manifest.CloudConfig,
    }),
  };
}

/**
 * Nanos takes any name; a Linux guest's shell does not.
 *
 * @throws GevulotError `MANIFEST_INVALID`
 */
export function requireShellNames(env: Readonly<Record<string, string>>): void {
  const name = Object.keys(env).find((one) => !ENV_NAME.test(one));
  if (name !== undefined) throw invalid(`Env.${name}`, "is no name of an environment variable");
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

function withKnownKeys(json: object): Record<string, unknown> {
  const known: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json)) {
    const name = MANIFEST_KEYS.find((one) => one.toLowerCase() === key.toLowerCase());
    if (name === undefined) {
      const near = nearestName(key, MANIFEST_KEYS);
      const hint = near === undefined ? `known are ${MANIFEST_KEYS.join(", ")}` : `did you mean ${near}?`;
      throw invalid(key, `there is no such key; ${hint}`);
    }
    if (name in known) throw invalid(key, "it is there twice, in different cases");
    // As ops: null says nothing.
    known[name] = value ?? undefined;
  }
  return known;
}

function readExec(exec: z.infer<typeof schema>["Exec"], workspace: string): { exec?: ExecProgram } {
  if (exec === false) return {};
  if (exec === true) return { exec: readExecProgram({}, workspace) };
  try {
    return { exec: readExecProgram({ proofFile: exec.ProofFile, outputs: exec.Outputs }, workspace) };
  } catch (error) {
    throw invalid("Exec", (error as Error).message.replace(/\.$/, ""));
  }
}

function readPassthrough(
  flags: Readonly<Record<string, unknown>>,
): Pick<Manifest, "readonlyRootfs"> & { cwd?: string } {
  for (const [flag, value] of Object.entries(flags)) {
    if (typeof value !== "boolean" && typeof value !== "number") continue;
    const written = JSON.stringify(String(value));
    const reason = `booleans and numbers break the build of ops; write a string: ${written}`;
    throw invalid(`ManifestPassthrough.${flag}`, reason);
  }
  const { cwd } = flags;
  if (cwd === undefined) return { readonlyRootfs: "readonly_rootfs" in flags };
  const isPlace = typeof cwd === "string" && /^\/[^\0]*$/.test(cwd) && !/\/\.\.?(\/|$)/.test(cwd);
  if (!isPlace) throw invalid("ManifestPassthrough.cwd", "it must be an absolute path, without . and ..");
  return { readonlyRootfs: "readonly_rootfs" in flags, cwd };
}

function issueText(issue: z.core.$ZodIssue | undefined): string {
  const inner = issue && "issues" in issue ? (issue.issues as { message: string }[])[0]?.message : undefined;
  return inner ?? issue?.message ?? "it is not understood";
}

function invalid(key: string, reason: string): GevulotError {
  const subject = key === "" ? "The manifest is wrong" : `The manifest's ${key} is wrong`;
  const message = `${subject}: ${reason.replace(/\?$/, "")}${reason.endsWith("?") ? "?" : "."}`;
  return new GevulotError("MANIFEST_INVALID", message, { context: { key, reason } });
}
