import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

/** Holds 17 MiB of data as numbers; parsing it takes a moment in which the node does nothing else. */
const MAX_RESULT_BYTES = 64 * 2 ** 20;
const MAX_FILES = 10_000;
const MAX_MESSAGE_CHARS = 16_384;

/** What a program left in `task_result.json` (protocol section 9). */
export type ProgramResult =
  | {
      readonly kind: "ok";
      readonly data: Uint8Array;
      readonly files: readonly string[];
      /** BLAKE3 by file, in hex; where the program said it. */
      readonly checksums?: ReadonlyMap<string, string>;
    }
  | { readonly kind: "err"; readonly message: string }
  | { readonly kind: "missing" }
  | { readonly kind: "invalid"; readonly problem: string };

/** Zod looks at each element for itself, which takes seconds for millions. */
const bytes = z.custom<number[]>((value) => Array.isArray(value) && value.every(isByte), "no array of bytes");
const wire = z.union([
  z.strictObject({
    Ok: z.object({ id: z.string(), data: bytes, files: z.array(z.string()).max(MAX_FILES) }),
  }),
  z.strictObject({ Err: z.string() }),
]);

function isByte(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255;
}

/**
 * Reads a program's result from its workspace, which is a hostile place: links are not followed, sizes bounded.
 * @param ids what the program may know its task by
 */
export async function readResult(workspaceDir: string, ids: readonly string[]): Promise<ProgramResult> {
  const text = await readBounded(join(workspaceDir, "task_result.json"));
  if (text === null) return { kind: "missing" };
  if (typeof text !== "string") return { kind: "invalid", problem: text.problem };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "invalid", problem: `task_result.json is no JSON (${(error as Error).message})` };
  }
  const parsed = wire.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    return { kind: "invalid", problem: `task_result.json: ${issue?.path.join(".")}: ${issue?.message}` };
  }
  if ("Err" in parsed.data) return { kind: "err", message: parsed.data.Err.slice(0, MAX_MESSAGE_CHARS) };
  const { id, data, files } = parsed.data.Ok;
  if (!ids.includes(id)) {
    return { kind: "invalid", problem: `task_result.json answers task "${id}", this was task "${ids[0]}"` };
  }
  return { kind: "ok", data: Uint8Array.from(data), files };
}

async function readBounded(path: string): Promise<string | null | { problem: string }> {
  let handle: FileHandle;
  try {
    // O_NONBLOCK: a fifo that a guest left here must not hold the node.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return null;
    if (code === "ELOOP") return { problem: "task_result.json is a symbolic link" };
    return { problem: `task_result.json can't be read (${code})` };
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) return { problem: "task_result.json is no plain file" };
    if (info.size > MAX_RESULT_BYTES) {
      return {
        problem: `task_result.json has ${info.size} bytes, ${MAX_RESULT_BYTES} are allowed: hand large data over as files`,
      };
    }
    return await handle.readFile("utf8");
  } finally {
    await handle.close();
  }
}
