import { lstat, stat } from "node:fs/promises";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    OUTPUT_NOT_A_FILE: { path: string };
  }
}

/**
 * Lets a path pass where nothing is, or a file, that a new file may take the place of. A device, a pipe or a socket
 * (`/dev/null`, `/dev/stdout`) would be gone from the system: throws `OUTPUT_NOT_A_FILE`.
 */
export async function requireFileTarget(path: string): Promise<void> {
  if (!(await isSpecialFile(path))) return;
  throw new GevulotError(
    "OUTPUT_NOT_A_FILE",
    `${path} is a device, a pipe or a socket, which this would replace. Give the name of a file.`,
    { context: { path } },
  );
}

/** A device, a pipe or a socket, or a link to one. */
async function isSpecialFile(path: string): Promise<boolean> {
  const found = [await stat(path).catch(() => null), await lstat(path).catch(() => null)];
  return found.some((info) => info && !info.isFile() && !info.isDirectory() && !info.isSymbolicLink());
}
