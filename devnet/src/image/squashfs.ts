import { runTool } from "./runTool.ts";

const BLOCK_BYTES = 256 * 1024;
/** A command line has a limit. */
const PATHS_AT_ONCE = 500;

/**
 * Makes a squashfs of a folder. LZ4 unpacks about as fast as the guest reads plain data, at half the size. No
 * clocks, owners or attributes go in, so that the same folder makes the same bytes.
 */
export async function makeSquashfs(folder: string, output: string, signal?: AbortSignal): Promise<void> {
  const args = [
    "-noappend",
    "-comp",
    "lz4",
    "-b",
    String(BLOCK_BYTES),
    "-no-fragments",
    "-no-xattrs",
    "-no-exports",
  ];
  const fixed = [
    "-all-root",
    "-mkfs-time",
    "0",
    "-all-time",
    "0",
    "-root-mode",
    "755",
    "-quiet",
    "-no-progress",
  ];
  await runTool("mksquashfs", [folder, output, ...args, ...fixed], signal ? { signal } : {});
}

export interface UnpackOptions {
  /** Where the squashfs begins in the file. */
  readonly offset: number;
  /** Relative paths. */
  readonly paths: readonly string[];
  /** Made, filled; must not exist. */
  readonly output: string;
  readonly signal?: AbortSignal;
}

/** Takes some paths out of a squashfs within a file, links as links, owners and attributes left behind. */
export async function unpackSquashfs(image: string, options: UnpackOptions): Promise<void> {
  const { offset, paths, output, signal } = options;
  const args = ["-no-progress", "-no-xattrs", "-no-wildcards", "-force", "-processors", "1"];
  for (let start = 0; start < paths.length; start += PATHS_AT_ONCE) {
    const some = paths.slice(start, start + PATHS_AT_ONCE);
    const all = [...args, "-offset", String(offset), "-dest", output, image, ...some];
    await runTool("unsquashfs", all, signal ? { signal } : {});
  }
}
