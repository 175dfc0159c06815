import { GevulotError } from "gevulot-sdk";
import { z } from "zod";
import { NOT_BUILT_KEYS, NOT_BUILT_ROOT_FLAGS } from "./manifestNotBuilt.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    MANIFEST_INVALID: { readonly key: string; readonly reason: string };
  }
}

/** A program's manifest, as ops has it: the protocol's packaging page, section 2. Keys in any case. */
export interface Manifest {
  /** Overrides the program named elsewhere. Relative to the working folder. */
  readonly program?: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly files: readonly string[];
  readonly dirs: readonly string[];
  /** Pattern of host files to a folder of the image. */
  readonly mapDirs: Readonly<Record<string, string>>;
  /** Where the task's files appear. */
  readonly workspace: string;
  readonly readonlyRootfs: boolean;
  /** What was accepted and means nothing here. */
  readonly warnings: readonly string[];
}

export const DEFAULT_WORKSPACE = "/workspace";

const MAX_ENTRIES = 10_000;
const MAX_TEXT = 128 * 1024;
const text = z
  .string()
  .max(MAX_TEXT)
  .refine((value) => !value.includes("\0"), "must not hold a NUL byte");
const texts = z.array(text).max(MAX_ENTRIES).default([]);
const textMap = z.record(text, text).default({});

const schema = z.strictObject({
  Program: text.min(1, "must not be empty").optional(),
  Args: texts,
  Env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/, "is no name of an environment variable"), text)
    .default({}),
  Files: texts,
  Dirs: texts,
  MapDirs: textMap,
  Mounts: textMap,
  ManifestPassthrough: z.record(z.string(), z.unknown()).default({}),
  RebootOnExit: z.boolean().default(false),
  RunConfig: z.record(z.string(), z.unknown()).optional(),
  NanosVersion: text.optional(),
});

const KEYS = Object.keys(schema.shape);

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
  return {
    ...(manifest.Program === undefined ? {} : { program: manifest.Program }),
    args: manifest.Args,
    env: manifest.Env,
    files: manifest.Files,
    dirs: manifest.Dirs,
    mapDirs: manifest.MapDirs,
    workspace: readMounts(manifest.Mounts),
    readonlyRootfs: readPassthrough(manifest.ManifestPassthrough),
    warnings: [
      ...(manifest.RebootOnExit
        ? ["RebootOnExit means nothing here: a program that fails ends its task."]
        : []),
      ...(manifest.RunConfig
        ? ["RunConfig is ignored: memory, CPUs and GPUs come from the deployment."]
        : []),
      ...(manifest.NanosVersion === undefined
        ? []
        : ["NanosVersion is ignored: the image has a Linux kernel."]),
    ],
  };
}

function withKnownKeys(json: object): Record<string, unknown> {
  const known: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(json)) {
    const lower = key.toLowerCase();
    const name = KEYS.find((one) => one.toLowerCase() === lower);
    if (name === undefined) {
      const reason = NOT_BUILT_KEYS[lower];
      if (reason !== undefined) throw invalid(key, `it is not built yet: ${reason}`);
      throw invalid(key, `there is no such key; known are ${KEYS.join(", ")}`);
    }
    if (name in known) throw invalid(key, "it is there twice, in different cases");
    known[name] = value;
  }
  return known;
}

function readMounts(mounts: Readonly<Record<string, string>>): string {
  const entries = Object.entries(mounts);
  if (entries.length > 1) throw invalid("Mounts", "only one mount is built, the task's workspace");
  const [id, path] = entries[0] ?? ["%1", DEFAULT_WORKSPACE];
  if (!/^%\d+$/.test(id)) {
    throw invalid("Mounts", `"${id}" names a volume, and volumes are not built yet; the workspace is "%1"`);
  }
  if (path.endsWith(":ro"))
    throw invalid("Mounts", "a workspace can't be read-only: the result is written there");
  const isPlain = /^(\/[A-Za-z0-9._@+-]+)+$/.test(path) && !/\/\.\.?(\/|$)/.test(path);
  if (!isPlain) throw invalid("Mounts", `"${path}" is no plain absolute path such as ${DEFAULT_WORKSPACE}`);
  if (/^\/(proc|sys|dev|tmp|lib|lib64|usr|\.gevulot)(\/|$)/.test(path)) {
    throw invalid("Mounts", `"${path}" is used by the system; take ${DEFAULT_WORKSPACE}`);
  }
  return path;
}

function readPassthrough(flags: Readonly<Record<string, unknown>>): boolean {
  for (const [flag, value] of Object.entries(flags)) {
    const key = `ManifestPassthrough.${flag}`;
    if (typeof value === "boolean" || typeof value === "number") {
      throw invalid(key, `booleans and numbers break the build of ops; write a string: "${String(value)}"`);
    }
    if (NOT_BUILT_ROOT_FLAGS.includes(flag)) throw invalid(key, "it is not built yet; remove it");
    if (flag !== "readonly_rootfs") throw invalid(key, "there is no such flag; known is readonly_rootfs");
  }
  return "readonly_rootfs" in flags;
}

function issueText(issue: z.core.$ZodIssue | undefined): string {
  const inner = issue && "issues" in issue ? (issue.issues as { message: string }[])[0]?.message : undefined;
  return inner ?? issue?.message ?? "it is not understood";
}

function invalid(key: string, reason: string): GevulotError {
  const subject = key === "" ? "The manifest is wrong" : `The manifest's ${key} is wrong`;
  return new GevulotError("MANIFEST_INVALID", `${subject}: ${reason}.`, { context: { key, reason } });
}
