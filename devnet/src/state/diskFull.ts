import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    STATE_DISK_FULL: { path: string };
  }
}

/** Disk full: of a file system, of a quota, and of PostgreSQL. */
const FULL = new Set(["ENOSPC", "EDQUOT", "53100"]);

/** Does work that writes below a path. Throws `STATE_DISK_FULL` where the disk was full; what was there stays. */
export async function withRoom<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!FULL.has((error as { code?: string }).code ?? "")) throw error;
    throw new GevulotError(
      "STATE_DISK_FULL",
      `There is no room left for ${path}: the disk is full. Nothing was changed. Free some space (gevulot-devnet snapshot ls shows what snapshots take), or choose a place on another disk.`,
      { context: { path }, cause: error },
    );
  }
}
