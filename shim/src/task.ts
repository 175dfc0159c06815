import { GevulotShimError } from "./errors.ts";
import { VM_WORKSPACE, type Workspace } from "./workspace.ts";

/** What a node asks of a program: protocol section 9 (and section 8, whose tasks say the same). */
export interface TaskRequest {
  readonly id: string;
  readonly args: readonly string[];
  /** Absolute paths inside the virtual machine. */
  readonly files: readonly string[];
}

/** What a program hands back. Made by {@link Task.result}. */
export interface TaskResult {
  /** The proof, or what a verifier has to say; the bytes are the program's own affair. */
  readonly data: Uint8Array;
  /** Output files in the workspace. */
  readonly files: readonly string[];
}

/** One task, as a program sees it. */
export interface Task {
  readonly id: string;
  readonly args: readonly string[];
  /** The input files: absolute paths that can be opened as they are. */
  readonly files: readonly string[];
  /** The workspace folder: `/workspace` in a virtual machine. Output files go here. */
  readonly workspace: string;
  /**
   * Where to write (or find) a file of the workspace: `task.path("proof.bin")`.
   * @throws GevulotShimError PATH_OUTSIDE
   */
  path(name: string): string;
  /**
   * The input file that the app named so: `task.file("/workspace/witness.json")`, or `task.file("witness.json")`.
   * @throws GevulotShimError INPUT_UNKNOWN where the task has no such input.
   */
  file(vmPath: string): string;
  /**
   * The result to return. `files` are output files, as `/workspace/proof.bin`, `proof.bin` or `task.path("proof.bin")`;
   * they are checked when the program's function has returned. Text becomes UTF-8.
   */
  result(data: Uint8Array | string, files?: readonly string[]): TaskResult;
}

/** @throws GevulotShimError TASK_INVALID where an input file can't be in this workspace. */
export function createTask(request: TaskRequest, workspace: Workspace): Task {
  const files = request.files.map((file) => realInput(file, workspace));
  return {
    id: request.id,
    args: request.args,
    files,
    workspace: workspace.path,
    path(name) {
      const real = workspace.toReal(name);
      if (real !== null) return real;
      throw new GevulotShimError(
        "PATH_OUTSIDE",
        `${JSON.stringify(name)} is not a file of the workspace: give a name, or a path that begins with ${VM_WORKSPACE}/`,
      );
    },
    file(vmPath) {
      const real = workspace.toReal(vmPath) ?? vmPath;
      if (files.includes(real)) return real;
      const given = request.files.length === 0 ? "has no input files" : `has ${request.files.join(", ")}`;
      throw new GevulotShimError(
        "INPUT_UNKNOWN",
        `the task has no input file ${vmPath}: it ${given}; name the input in the run's step`,
      );
    },
    result(data, resultFiles = []) {
      return { data: typeof data === "string" ? new TextEncoder().encode(data) : data, files: resultFiles };
    },
  };
}

function realInput(file: string, workspace: Workspace): string {
  const real = workspace.toReal(file);
  if (real !== null) return real;
  // In a virtual machine any path is the guest's own. On a host it would be one of the developer's files.
  if (!workspace.onHost) return file;
  throw new GevulotShimError(
    "TASK_INVALID",
    `input file ${JSON.stringify(file)} of task.json lies outside ${VM_WORKSPACE}: a host process has only the workspace; move it there`,
  );
}
