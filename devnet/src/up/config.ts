import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { createJiti } from "jiti";
import { z } from "zod";
import type { DevnetConfig } from "./defineConfig.ts";
import { MAX_NODES } from "./devnetOptions.ts";
import { CONFIG_NAMES } from "./projectFolder.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_CONFIG: { path: string; problem: string };
  }
}

const count = z.number().int().min(1);
const amount = z.number().positive();
const port = z.number().int().min(1).max(65_535);
const schema: z.ZodType<DevnetConfig> = z
  .strictObject({
    nodes: count.max(MAX_NODES),
    mode: z.enum(["assigned", "all"]),
    provers: count,
    verifiers: count,
    attempts: count,
    join: z.string().regex(/.:\d{1,5}$/, "is no host:port"),
    passphrase: z.string(),
    provider: z.enum(["auto", "qemu", "process"]),
    execution: z.boolean(),
    allowUnmountedImages: z.boolean(),
    taskDeadlineSeconds: amount,
    taskIdleSeconds: amount,
    volumesDirectory: z.string().min(1),
    memGb: amount,
    numCpus: amount,
    ports: z.strictObject({ rpc: port, http: port, p2p: port }).partial(),
    postgresPort: port,
  })
  .partial() as z.ZodType<DevnetConfig>;

/** The configuration file of a project's folder, if there is one. */
export function findConfig(folder: string): string | undefined {
  return CONFIG_NAMES.map((name) => join(folder, name)).find((path) => existsSync(path));
}

/**
 * Reads a configuration: what the file exports by default. Folders in it are taken from where the file is.
 *
 * @throws GevulotError `DEVNET_CONFIG`
 */
export async function loadConfig(file: string): Promise<DevnetConfig> {
  const path = resolve(file);
  const fail = (problem: string, cause?: unknown): GevulotError =>
    new GevulotError("DEVNET_CONFIG", `${path}: ${problem}`, { context: { path, problem }, cause });
  if (!existsSync(path)) throw fail("there is no such file. Give another with --config, or make it.");
  let found: unknown;
  try {
    // Loaded anew, whatever an earlier load left; nothing is written beside the user's files.
    const jiti = createJiti(path, { fsCache: false, moduleCache: false });
    found = await jiti.import(path, { default: true });
  } catch (cause) {
    throw fail(`it can't be loaded. ${(cause as Error).message}. Mend the file.`, cause);
  }
  const parsed = schema.safeParse(found);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    const name = issue.path.join(".");
    throw fail(
      `${name === "" ? "" : `${name}: `}${issue.message}. It exports defineConfig({ nodes: 3, … }).`,
    );
  }
  const { volumesDirectory } = parsed.data;
  if (volumesDirectory === undefined) return parsed.data;
  return { ...parsed.data, volumesDirectory: resolve(dirname(path), volumesDirectory) };
}
