import { posix } from "node:path";

/** A file that a program opened or started, found under this name and really there. */
export interface OpenedFile {
  /** As the program named it, absolute. */
  readonly path: string;
  /** Links followed. */
  readonly realPath: string;
  readonly use: "read" | "written" | "started";
}

const LINE = /^(\d+) +(.*)$/;
const UNFINISHED = / <unfinished \.\.\.>$/;
const RESUMED = /^<\.\.\. \w+ resumed>(.*)$/;
const OPEN =
  /^open(?:at2?)?\((?:(?:AT_FDCWD|(\d+))(?:<((?:[^>\\]|\\.)*)>)?, )?"((?:[^"\\]|\\.)*)", (.*)\) += \d+<((?:[^>\\]|\\.)*)>$/;
const EXEC = /^execve\("((?:[^"\\]|\\.)*)", .*\) += 0$/;

/**
 * Reads what strace wrote (`-f -y`, of the calls that open and start files), a line at a time; calls that were cut in two
 * are joined.
 */
export function createStraceReader(workingDir: string): (line: string) => OpenedFile | null {
  const unfinished = new Map<string, string>();
  return (line) => {
    const [, pid = "", rest = ""] = LINE.exec(line) ?? [];
    if (UNFINISHED.test(rest)) {
      unfinished.set(pid, rest.replace(UNFINISHED, ""));
      return null;
    }
    const end = RESUMED.exec(rest)?.[1];
    const call = end === undefined ? rest : `${unfinished.get(pid) ?? ""}${end}`;
    if (end !== undefined) unfinished.delete(pid);
    return readCall(call, workingDir);
  };
}

function readCall(call: string, workingDir: string): OpenedFile | null {
  const started = EXEC.exec(call)?.[1];
  if (started !== undefined) {
    const path = posix.resolve(workingDir, decode(started));
    return { path, realPath: path, use: "started" };
  }
  const [, fd, folder, name = "", flags = "", real = ""] = OPEN.exec(call) ?? [];
  const isMade = /O_CREAT|O_TMPFILE/.test(flags);
  if (real === "" || (!isMade && /O_DIRECTORY|O_PATH/.test(flags))) return null;
  const realPath = decode(real);
  // Before version 5.15 strace does not say what the working folder is.
  const base = folder === undefined ? workingDir : decode(folder);
  const path = fd !== undefined && folder === undefined ? realPath : posix.resolve(base, decode(name));
  // What is opened to be written must be there, too, where it is not made.
  return { path, realPath, use: isMade ? "written" : "read" };
}

/** Bytes that are no plain letters are octal. */
function decode(text: string): string {
  const bytes = text.replace(/\\([0-7]{1,3}|.)/g, (_, code: string) =>
    /^[0-7]/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (LETTERS[code] ?? code),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

const LETTERS: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", v: "\v", f: "\f" };
