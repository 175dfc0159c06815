import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import type { ImageResources } from "../context/platform.ts";

/** Where an image made by `gevulot-devnet image build` describes itself; see its descriptor. */
const OFFSET = 4096;
const MAX_BYTES = 256 * 1024;
/** One for Nanos, with a boot loader there, has the last sector for it. */
const SECTOR_BYTES = 512;
const MAGIC = "GEVULOT-IMAGE\0\0\0";
const HEADER_BYTES = 56;
const FIELDS = ["memMib", "cpus", "gpus"] as const;

/**
 * What an image itself asks for (the manifest's RunConfig). Empty where it asks for nothing, or is an image of another
 * kind; whether the file is any good is for others to say.
 */
export async function readImageResources(path: string): Promise<ImageResources> {
  const bytes = await readDescription(path).catch(() => undefined);
  if (bytes === undefined) return {};
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

async function readDescription(path: string): Promise<Buffer | undefined> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    for (const at of [OFFSET, Math.max(0, size - SECTOR_BYTES)]) {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_BYTES), 0, MAX_BYTES, at);
      const isDescription = bytesRead >= HEADER_BYTES && buffer.toString("latin1", 0, MAGIC.length) === MAGIC;
      if (isDescription) return buffer.subarray(0, bytesRead);
    }
    return undefined;
  } finally {
    await file.close();
  }
}
