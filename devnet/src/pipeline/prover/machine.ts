import { freemem, totalmem } from "node:os";

const BYTES_PER_GIB = 2 ** 30;

/** Bytes of memory. */
export interface Memory {
  readonly total: number;
  readonly free: number;
}

/** What this process may use: as configured, else the machine's, or its container's where that has less. */
export function memoryOf({ mem_gib: gib }: { readonly mem_gib?: number | undefined }): Memory {
  // Without a limit it is 0, or more than the machine has.
  const limit = process.constrainedMemory() || Number.POSITIVE_INFINITY;
  const total = gib === undefined ? Math.min(totalmem(), limit) : Math.floor(gib * BYTES_PER_GIB);
  return { total, free: Math.min(total, freemem()) };
}
