import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { delimiter, join, resolve } from "node:path";

/**
 * The absolute path of a command, or null. Looked up here, as a child with an environment of its own would be looked
 * up by that; for the same reason this reads the environment itself.
 */
export async function findExecutable(
  command: string,
  searchPath: string = process.env.PATH ?? "/usr/local/bin:/usr/bin:/bin",
): Promise<string | null> {
  const candidates = command.includes("/")
    ? [resolve(command)]
    : searchPath
        .split(delimiter)
        .filter((dir) => dir !== "")
        .map((dir) => join(resolve(dir), command));
  for (const candidate of candidates) {
    const isExecutable = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isExecutable) return candidate;
  }
  return null;
}
