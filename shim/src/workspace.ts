import { existsSync, realpathSync } from "node:fs";
import { isAbsolute, posix, relative, resolve, sep } from "node:path";
import { GevulotShimError } from "./errors.ts";

/** Where every virtual machine shows its workspace, and what paths in a task begin with. */
export const VM_WORKSPACE = "/workspace";

/** The folder that node and program share: under its real path, and under the name it has in a virtual machine. */
export interface Workspace {
  /** Absolute, links resolved. `/workspace` in a virtual machine. */
  readonly path: string;
  /** Whether the program runs as a host process, with the workspace somewhere else than at `/workspace`. */
  readonly onHost: boolean;
  /**
   * The real path of what a program or a task names: `/workspace/x`, a path inside the real folder, or `x` alone.
   * `null` if it lies outside.
   */
  toReal(path: string): string | null;
  /** `/workspace/x` for a real path inside the workspace. */
  toVm(realPath: string): string;
}

export interface WorkspaceOptions {
  /** The folder; without it the program must be in a virtual machine that has `/workspace`. */
  readonly folder?: string | undefined;
}

/** @throws GevulotShimError NO_TASK where the folder is missing. */
export function openWorkspace(options: WorkspaceOptions): Workspace {
  const folder = options.folder ?? VM_WORKSPACE;
  if (!existsSync(folder)) {
    throw new GevulotShimError("NO_TASK", `there is no workspace folder ${folder}: ${HOW_TO_RUN}`);
  }
  const path = realpathSync(folder);
  const onHost = path !== VM_WORKSPACE;
  return {
    path,
    onHost,
    toReal(name) {
      if (name.includes("\0")) return null;
      const real = isAbsolute(name) ? fromAbsolute(name) : resolve(path, name);
      return real !== null && isInside(real) ? real : null;
    },
    toVm(realPath) {
      return posix.join(VM_WORKSPACE, ...relative(path, realPath).split(sep));
    },
  };

  function fromAbsolute(name: string): string {
    const inVm = relative(VM_WORKSPACE, resolve(name));
    return inVm === "" || isUpward(inVm) ? resolve(name) : resolve(path, inVm);
  }

  function isInside(real: string): boolean {
    const inside = relative(path, real);
    return inside !== "" && !isUpward(inside);
  }
}

export const HOW_TO_RUN =
  "run the program in a virtual machine, or set GEVULOT_WORKSPACE to a folder with a task.json";

function isUpward(relativePath: string): boolean {
  return relativePath === ".." || relativePath.startsWith(`..${sep}`) || isAbsolute(relativePath);
}
