import { lstat, mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    EXPORT_EXISTS: { paths: readonly string[] };
  }
}

export interface OutputFile {
  /** Below the folder that is written to. */
  readonly path: string;
  readonly content: string;
  /** Default 0o644. */
  readonly mode?: number;
}

const SHOWN_PATHS = 5;

/** Writes all files, or none where one is there already and not to be replaced. Throws `EXPORT_EXISTS`. */
export async function writeOutputFiles(
  dir: string,
  files: readonly OutputFile[],
  { force }: { readonly force: boolean },
): Promise<void> {
  if (!force) {
    const there = await Promise.all(files.map(({ path }) => exists(join(dir, path))));
    refuse(files.flatMap(({ path }, index) => (there[index] ? [join(dir, path)] : [])));
  }
  for (const { path, content, mode = 0o644 } of files) {
    const target = join(dir, path);
    await mkdir(dirname(target), { recursive: true });
    await using file = await open(target, force ? "w" : "wx", mode);
    await file.writeFile(content);
    // One that was there keeps its mode, and the umask takes bits away. A device's or a pipe's is not ours.
    if ((await file.stat()).isFile()) await file.chmod(mode);
  }
}

function refuse(paths: readonly string[]): void {
  if (paths.length === 0) return;
  const more = paths.length > SHOWN_PATHS ? ` and ${paths.length - SHOWN_PATHS} more` : "";
  throw new GevulotError(
    "EXPORT_EXISTS",
    `These files are there already, and nothing was written: ${paths.slice(0, SHOWN_PATHS).join(", ")}${more}. Choose another place with --out, or replace them with --force.`,
    { context: { paths } },
  );
}

function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false,
  );
}
