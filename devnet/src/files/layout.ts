import { join, posix } from "node:path";

/** The workspace inside the VM; task files and results live under it (protocol sections 8 and 9). */
export const VM_WORKSPACE = "/workspace";

const MAX_PATH_BYTES = 1_024;
const MAX_SEGMENT_BYTES = 200;

/** Where a node keeps its files. `images` and `txfiles` are what the file server shows (protocol section 6). */
export interface FileLayout {
  readonly root: string;
  readonly imagesDir: string;
  readonly txFilesDir: string;
  readonly cacheDir: string;
  /** Downloads that are under way. */
  readonly incomingDir: string;
  readonly attemptsDir: string;
  imagePath(program: string, fileName: string): string;
  /** An input file of a Run, by its path in the VM. */
  inputPath(run: string, vmPath: string): string;
  /** An output file of a Proof or Verification. */
  outputPath(tx: string, checksum: string, vmPath: string): string;
  /** The folder of one attempt at a task; its workspace is `workspace` in it. */
  attemptDir(attemptId: string): string;
}

export function createFileLayout(root: string): FileLayout {
  const imagesDir = join(root, "images");
  const txFilesDir = join(root, "txfiles");
  const attemptsDir = join(root, "vmfiles");
  return {
    root,
    imagesDir,
    txFilesDir,
    attemptsDir,
    cacheDir: join(root, "cache"),
    incomingDir: join(root, "incoming"),
    imagePath: (program, fileName) => join(imagesDir, program, fileName),
    inputPath: (run, vmPath) => join(txFilesDir, run, vmPath),
    outputPath: (tx, checksum, vmPath) => join(txFilesDir, tx, checksum, posix.basename(vmPath)),
    attemptDir: (attemptId) => join(attemptsDir, attemptId),
  };
}

/**
 * Says what is wrong with a relative path that came from outside, or null where it is safe to join to a folder:
 * no empty, `.` or `..` segment, no NUL, no backslash, bounded length.
 */
export function relativePathProblem(path: string, maxBytes = MAX_PATH_BYTES): string | null {
  if (path === "") return "it is empty";
  if (path.includes("\0")) return "it holds a NUL byte";
  if (path.includes("\\")) return "it holds a backslash";
  if (path.startsWith("/")) return "it is absolute";
  if (Buffer.byteLength(path) > maxBytes) return `it is longer than ${maxBytes} bytes`;
  for (const segment of path.split("/")) {
    if (segment === "" || segment === "." || segment === "..") return `it holds the segment "${segment}"`;
    if (Buffer.byteLength(segment) > MAX_SEGMENT_BYTES)
      return `a part is longer than ${MAX_SEGMENT_BYTES} bytes`;
  }
  return null;
}

const MEETING_PLACES: ReadonlySet<string> = new Set(["task.json", "task_result.json", ".gevulot"]);

/** Says what is wrong with the path of a task's file inside the VM, or null where it is under the workspace. */
export function vmPathProblem(vmPath: string): string | null {
  const prefix = `${VM_WORKSPACE}/`;
  if (!vmPath.startsWith(prefix)) return `it is not under ${prefix}`;
  const problem = relativePathProblem(vmPath.slice(prefix.length));
  if (problem !== null) return problem;
  const first = vmPath.slice(prefix.length).split("/", 1)[0];
  if (first !== undefined && MEETING_PLACES.has(first)) return `${first} is where node and program meet`;
  return null;
}

/** The path of a VM file relative to the workspace folder. */
export function workspaceRelative(vmPath: string): string {
  return vmPath.slice(VM_WORKSPACE.length + 1);
}
