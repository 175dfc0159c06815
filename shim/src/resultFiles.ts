import { closeSync, constants, lstatSync, openSync, realpathSync } from "node:fs";
import { GevulotShimError, type ShimErrorCode } from "./errors.ts";
import { VM_WORKSPACE, type Workspace } from "./workspace.ts";

const MAX_RESULT_FILES = 4096;

/**
 * The output files' paths inside the virtual machine, after making sure that the node will be able to take them: in the
 * workspace, there, regular, readable, no links on the way (the node follows none).
 */
export function checkResultFiles(files: readonly string[], workspace: Workspace): string[] {
  if (files.length > MAX_RESULT_FILES) {
    throw new GevulotShimError(
      "TOO_MANY_RESULT_FILES",
      `the result names ${files.length} files, more than ${MAX_RESULT_FILES}: pack them into one`,
    );
  }
  const vmPaths = files.map((file) => checkResultFile(file, workspace));
  const twice = vmPaths.find((path, index) => vmPaths.indexOf(path) !== index);
  if (twice !== undefined) fail("RESULT_FILE_TWICE", twice, "is named twice: name it once");
  return vmPaths;
}

function checkResultFile(file: string, workspace: Workspace): string {
  const real = workspace.toReal(file);
  if (real === null) {
    fail("RESULT_FILE_OUTSIDE", file, `lies outside the workspace: write it to ${VM_WORKSPACE}/`);
  }
  const resolved = resolveLinks(file, real);
  if (resolved !== real) {
    fail(
      "RESULT_FILE_LINK",
      file,
      `is reached by a symbolic link, to ${resolved}: copy the file into the workspace`,
    );
  }
  const stat = lstatSync(real);
  if (!stat.isFile()) {
    const what = stat.isDirectory() ? "a directory" : "not a regular file";
    fail("RESULT_FILE_NOT_REGULAR", file, `is ${what}: name the files one by one`);
  }
  try {
    closeSync(openSync(real, constants.O_RDONLY));
  } catch (cause) {
    fail("RESULT_FILE_UNREADABLE", file, `can't be read (${codeOf(cause)}): make it readable`, cause);
  }
  return workspace.toVm(real);
}

function resolveLinks(file: string, real: string): string {
  try {
    return realpathSync(real);
  } catch (cause) {
    if (codeOf(cause) === "ENOENT" && isLink(real)) {
      fail("RESULT_FILE_LINK", file, "is a symbolic link to nothing: write the file itself", cause);
    }
    if (codeOf(cause) === "ENOENT" || codeOf(cause) === "ENOTDIR") {
      fail("RESULT_FILE_MISSING", file, "does not exist: write it before returning the result", cause);
    }
    fail("RESULT_FILE_UNREADABLE", file, `can't be looked up (${codeOf(cause)})`, cause);
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
}

function fail(code: ShimErrorCode, file: string, what: string, cause?: unknown): never {
  throw new GevulotShimError(code, `result file ${file} ${what}`, cause);
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException | undefined)?.code ?? String(error);
}
