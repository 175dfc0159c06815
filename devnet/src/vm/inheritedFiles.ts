import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";

export interface InheritedFiles extends AsyncDisposable {
  /** To be appended to the child's stdio. */
  readonly fds: readonly number[];
  /** In the order given, as the child must name them. */
  readonly paths: readonly string[];
}

/**
 * Makes files reachable for a child of another user: opened here and inherited, as the folders above them (a
 * data directory, somebody's home) are often closed to that user.
 *
 * @param firstFd the child's number for the first of them
 */
export async function openForChild(paths: readonly string[], firstFd: number): Promise<InheritedFiles> {
  const handles: FileHandle[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(handles.map((handle) => handle.close()));
  };
  try {
    for (const path of paths) {
      const handle = await open(path, constants.O_RDONLY);
      handles.push(handle);
      await letOthersRead(handle);
    }
  } catch (error) {
    await close();
    throw error;
  }
  return {
    fds: handles.map(({ fd }) => fd),
    paths: handles.map((_, index) => `/proc/self/fd/${firstFd + index}`),
    [Symbol.asyncDispose]: close,
  };
}

/** The child opens the file anew, by that path. Under a strict umask nobody but root could. */
async function letOthersRead(handle: FileHandle): Promise<void> {
  const stat = await handle.stat();
  if (stat.isFile() && (stat.mode & 0o004) === 0) await handle.chmod((stat.mode & 0o777) | 0o044);
}
