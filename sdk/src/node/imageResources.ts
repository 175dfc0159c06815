import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { ImageResources } from "../context/platform.ts";

/** Where an image made by `gevulot-devnet image build` describes itself; see its descriptor. */
const OFFSET = 4096;
const MAX_BYTES = 256 * 1024;
const MAGIC = "GEVULOT-IMAGE\0\0\0";
const HEADER_BYTES = 56;
const FIELDS = ["memMib", "cpus", "gpus"] as const;

/**
 * What an image itself asks for (the manifest's RunConfig). Empty where it asks for nothing, or is an image of another
 * kind; whether the file is any good is for others to say.
 */
export async function readImageResources(path: string): Promise<ImageResources> {
  const bytes = await readDescription(path).catch(() => Buffer.alloc(0));
  if (bytes.length < HEADER_BYTES || bytes.toString("latin1", 0, MAGIC.length) !== MAGIC) return {};
  const json = bytes.subarray(HEADER_BYTES, HEADER_BYTES + bytes.readUInt32LE(20));
  if (!createHash("sha256").update(json).digest().equals(bytes.subarray(24, HEADER_BYTES))) return {};
  const resources = resourcesOf(json.toString());
  return Object.fromEntries(
    FIELDS.flatMap((field) => {
      const value = resources?.[field];
      return Number.isSafeInteger(value) && (value as number) >= 0 ? [[field, value]] : [];
    }),
  );
}

function resourcesOf(json: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(json)?.resources;
  } catch {
    return undefined;
  }
}

async function readDescription(path: string): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, OFFSET);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
