import { constants, type Dirent } from "node:fs";
import { type FileHandle, lstat, open, opendir, realpath } from "node:fs/promises";
import { basename, join } from "node:path";
import {
  EXEC_FOLDER,
  type ExecProgram,
  MAX_PROOF_BYTES,
  STDERR_FILE,
  STDERR_TAIL_BYTES,
  STDOUT_FILE,
} from "../image/execProgram.ts";
import type { ExecTask } from "./execProvider.ts";
import { createGuestFileLook, type GuestFileLook, NOTES_FOLDER, ROOT_NOTE } from "./guestFile.ts";
import { GlobTooCostly, matchGlob } from "./matchGlob.ts";
import type { VmOutcome } from "./provider.ts";

export interface ExecEnd {
  readonly workspaceDir: string;
  /** Its path in the image. */
  readonly program: string;
  readonly exec: ExecProgram;
  readonly request: ExecTask;
  readonly outcome: Extract<VmOutcome, { kind: "exited" | "signalled" }>;
}

/** Said in the task's failure; the codes are those of `gevulot-shim exec`. */
class ExecFailure extends Error {
  /** The program was stopped for it. */
  readonly isFlood: boolean;

  constructor(message: string, isFlood = false) {
    super(message);
    this.isFlood = isFlood;
  }
}

const LINK = "a symbolic link leads there";
const WORKSPACE = "/workspace";
const RESULT_FILE = "task_result.json";
const MAX_ENTRIES = 100_000;
/** As many as a result may name. */
const MAX_OUTPUT_FILES = 10_000;
const MAX_DEPTH = 64;
/** Some seconds at worst, in which the node does nothing else. */
const MAX_MATCH_STEPS = 20_000_000;
const CHUNK_BYTES = 64 * 1024;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Makes the result of what a program left in its workspace, once it has ended. The workspace was written by a
 * stranger: no link is followed, sizes are bounded. A result that the program wrote itself stays as it is.
 *
 * @returns whether the program was stopped because it wrote too much to its standard output.
 */
export async function leaveExecResult(end: ExecEnd): Promise<boolean> {
  let isFlood = false;
  const chunks = await resultOf(end).catch((error: unknown) => {
    if (!(error instanceof ExecFailure)) throw error;
    isFlood = error.isFlood;
    return [JSON.stringify({ Err: error.message })];
  });
  const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;
  const file = await open(join(end.workspaceDir, RESULT_FILE), flags).catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "EEXIST") return null;
      throw error;
    },
  );
  if (file === null) return false;
  try {
    for (const chunk of chunks) await file.writeFile(chunk);
  } finally {
    await file.close();
  }
  return isFlood;
}

async function resultOf(end: ExecEnd): Promise<Iterable<string>> {
  const { workspaceDir, exec, outcome, request } = end;
  const name = basename(end.program);
  const isStdout = exec.proofFile === undefined;
  const what = isStdout
    ? `what ${name} wrote to its standard output`
    : `${WORKSPACE}/${exec.proofFile as string}`;
  if (isStdout && (await sizeOf(workspaceDir, STDOUT_FILE)) > MAX_PROOF_BYTES) throw tooLarge(what, true);
  if (outcome.kind === "signalled" || outcome.exitCode !== 0) {
    const how =
      outcome.kind === "signalled"
        ? `was ended by ${outcome.signal}`
        : `ended with exit code ${outcome.exitCode}`;
    const lastWords = (await lastWordsOf(workspaceDir)).trim();
    throw new ExecFailure(`${name} ${how}${lastWords && `: ${lastWords}`} (COMMAND_FAILED)`);
  }
  const data = await readProof(workspaceDir, exec.proofFile ?? STDOUT_FILE, what);
  const files = await matchOutputs(workspaceDir, exec.outputs, request.files);
  return encodeResult(request.id, data, files);
}

function* encodeResult(id: string, data: Buffer, files: readonly string[]): Iterable<string> {
  yield `{"Ok":{"id":${JSON.stringify(id)},"data":[`;
  for (let at = 0; at < data.length; at += CHUNK_BYTES) {
    yield `${at === 0 ? "" : ","}${data.subarray(at, at + CHUNK_BYTES).join(",")}`;
  }
  yield `],"files":${JSON.stringify(files)}}}`;
}

async function readProof(workspaceDir: string, path: string, what: string): Promise<Buffer> {
  const file = await openPlain(workspaceDir, path).catch((error: NodeJS.ErrnoException) => {
    const why = error.code === "ENOENT" ? "the program did not write it" : unreadable(error);
    throw new ExecFailure(`there is no proof, ${what}: ${why} (PROOF_MISSING)`);
  });
  try {
    const { size } = await file.stat();
    if (size > MAX_PROOF_BYTES) throw tooLarge(what, false);
    return await file.readFile();
  } finally {
    await file.close();
  }
}

/** Without the host's paths. */
function unreadable({ code, message }: NodeJS.ErrnoException): string {
  if (code === undefined) return message;
  return code === "ENOTDIR"
    ? "its path leads through something that is no folder"
    : `it can't be read (${code})`;
}

function tooLarge(what: string, isFlood: boolean): ExecFailure {
  const advice = "hand large data over as an output file (PROOF_TOO_LARGE)";
  return new ExecFailure(`the proof, ${what}, has more than ${MAX_PROOF_BYTES} bytes: ${advice}`, isFlood);
}

/** The virtual machine is gone by now: nothing changes any more between look and use. */
async function openPlain(
  workspaceDir: string,
  path: string,
  look: GuestFileLook = createGuestFileLook(),
): Promise<FileHandle> {
  const wanted = join(await realpath(workspaceDir), path);
  if ((await realpath(wanted)) !== wanted) throw new Error(LINK);
  const file = await open(wanted, READ);
  const kind = (await file.stat()).isFile() ? await look(file, wanted) : "other";
  if (kind === "file") return file;
  await file.close();
  throw new Error(kind === "link" ? LINK : "it is no plain file");
}

async function sizeOf(workspaceDir: string, path: string): Promise<number> {
  return lstat(join(workspaceDir, path)).then(
    (stat) => stat.size,
    () => 0,
  );
}

async function lastWordsOf(workspaceDir: string): Promise<string> {
  const file = await openPlain(workspaceDir, STDERR_FILE).catch(() => null);
  if (file === null) return "";
  try {
    const { size } = await file.stat();
    const length = Math.min(size, STDERR_TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: a text column can't hold it.
    return buffer.toString("utf8", 0, bytesRead).replace(/\x00/g, "");
  } finally {
    await file.close();
  }
}

/** A pattern stands for what the program made, not for what it was given; a plain name stands for itself. */
async function matchOutputs(
  workspaceDir: string,
  outputs: readonly string[],
  inputs: readonly string[],
): Promise<string[]> {
  const found = new Set<string>();
  const isPattern = (output: string) => /[*?]/.test(output);
  const given = new Set([...inputs, `${WORKSPACE}/task.json`, `${WORKSPACE}/${RESULT_FILE}`]);
  const all = outputs.some(isPattern) ? await listPlain(workspaceDir) : [];
  const look = createGuestFileLook();
  const budget = { steps: MAX_MATCH_STEPS };
  for (const output of outputs) {
    const paths = isPattern(output) ? matching(all, output, budget) : [output];
    let matches = 0;
    for (const path of paths) {
      const vmPath = `${WORKSPACE}/${path}`;
      if (isPattern(output) && (given.has(vmPath) || !(await isPlain(workspaceDir, path, look)))) continue;
      matches++;
      found.add(vmPath);
      if (found.size > MAX_OUTPUT_FILES) throw tooMany();
    }
    if (matches === 0) throw new ExecFailure(`no file matches the output ${output} (RESULT_FILE_MISSING)`);
  }
  return [...found];
}

function tooMany(): ExecFailure {
  return new ExecFailure(
    `more than ${MAX_OUTPUT_FILES} files match the outputs: pack them into one, or name fewer`,
  );
}

/** A pattern passes by what a guest made that is no file. */
async function isPlain(workspaceDir: string, path: string, look: GuestFileLook): Promise<boolean> {
  const file = await openPlain(workspaceDir, path, look).catch(() => null);
  await file?.close();
  return file !== null;
}

function matching(paths: readonly string[], output: string, budget: { steps: number }): string[] {
  try {
    return paths.filter(matchGlob(output, budget));
  } catch (error) {
    if (!(error instanceof GlobTooCostly)) throw error;
    throw new ExecFailure(
      `to match the outputs with the files of the workspace takes too long: name the outputs`,
    );
  }
}

/** Plain files under the workspace, by their relative paths; links lead nowhere, and there is an end to it. */
async function listPlain(workspaceDir: string): Promise<string[]> {
  const files: string[] = [];
  let seen = 0;
  const walk = async (folder: string, depth: number): Promise<void> => {
    // Not readdir: a stranger's folder may have millions.
    const listed = await opendir(join(workspaceDir, folder)).catch((error) => {
      throw new ExecFailure(`a folder of the workspace can't be read (${error.code}): name the outputs`);
    });
    const entries: Dirent[] = [];
    for await (const entry of listed) {
      if (entry.name !== NOTES_FOLDER && entry.name !== ROOT_NOTE) entries.push(entry);
      if (++seen > MAX_ENTRIES) break;
    }
    if (seen > MAX_ENTRIES || depth > MAX_DEPTH) {
      throw new ExecFailure(
        `the workspace has more than ${MAX_ENTRIES} files, or folders more than ${MAX_DEPTH} deep: name the outputs`,
      );
    }
    for (const entry of entries) {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory() && path !== EXEC_FOLDER) await walk(path, depth + 1);
      else if (entry.isFile()) files.push(path);
    }
  };
  await walk("", 0);
  return files.sort();
}
