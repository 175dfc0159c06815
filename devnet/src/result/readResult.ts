import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { createGuestFileLook } from "../vm/guestFile.ts";

/** Holds 17 MiB of data as numbers; parsing it takes a moment in which the node does nothing else. */
const MAX_RESULT_BYTES = 64 * 2 ** 20;
const MAX_FILES = 10_000;
const MAX_MESSAGE_CHARS = 16_384;
/** Quotes and opening brackets; a result with all the files that it may have has 20,000. */
const MAX_PARTS = 1_000_000;
const [QUOTE, BRACE, BRACKET] = [0x22, 0x7b, 0x5b];

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
const files = z.array(z.string(), "no array of paths");
const wire = {
  Ok: z.strictObject(
    { Ok: z.object({ id: z.string("no string"), data: bytes, files }, "no object") },
    { error: alone },
  ),
  Err: z.strictObject({ Err: z.string("no string") }, { error: alone }),
};

function alone({ code }: { readonly code?: string | undefined }): string {
  return code === "unrecognized_keys" ? "other keys are beside it" : "no object";
}

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
  if (isOverloaded(text)) {
    return {
      kind: "invalid",
      problem: "task_result.json has a million texts, lists and objects: it is no result",
    };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return { kind: "invalid", problem: `task_result.json is no JSON (${(error as Error).message})` };
  }
  if (hasKey(value, "Err")) {
    const { data: failed, error } = wire.Err.safeParse(value);
    if (!failed) return malformed("Err", error);
    return { kind: "err", message: failed.Err.slice(0, MAX_MESSAGE_CHARS) };
  }
  if (!hasKey(value, "Ok")) return malformed();
  const { data: found, error } = wire.Ok.safeParse(value);
  if (!found) return malformed("Ok", error);
  const { id, data, files } = found.Ok;
  if (files.length > MAX_FILES) {
    const advice = "pack them into one";
    return {
      kind: "invalid",
      problem: `task_result.json names ${files.length} files, ${MAX_FILES} are allowed: ${advice}`,
    };
  }
  if (!ids.includes(id)) {
    return { kind: "invalid", problem: `task_result.json answers task "${id}", this was task "${ids[0]}"` };
  }
  return { kind: "ok", data: Uint8Array.from(data), files };
}

function hasKey(value: unknown, key: string): boolean {
  return typeof value === "object" && value !== null && Object.hasOwn(value, key);
}

function malformed(key?: "Ok" | "Err", error?: z.ZodError): ProgramResult {
  const issue = error?.issues[0];
  const where = issue === undefined || issue.path.length === 0 ? key : issue.path.join(".");
  const what = where === undefined ? "neither Ok nor Err is there" : `${where}: ${issue?.message}`;
  return {
    kind: "invalid",
    problem: `task_result.json: ${what}. It is {"Ok": {"id": "…", "data": [1, 2, 255], "files": ["/workspace/…"]}} or {"Err": "…"}, data being the numbers of its bytes`,
  };
}

/** The parser's memory for many small objects and texts is many times the file's size. */
function isOverloaded(text: string): boolean {
  let count = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE || char === BRACE || char === BRACKET) count++;
  }
  return count > MAX_PARTS;
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
    const kind = info.isFile() ? await createGuestFileLook()(handle, path) : "other";
    if (kind === "link") return { problem: "task_result.json is a symbolic link" };
    if (kind === "other") return { problem: "task_result.json is no plain file" };
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
