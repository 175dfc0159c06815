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
  /^open(?:at2?)?\((?:(?:AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)", (.*)\) += \d+<((?:[^>\\]|\\.)*)>$/;
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
  const [, folder, name = "", flags = "", real = ""] = OPEN.exec(call) ?? [];
  if (real === "" || /O_DIRECTORY|O_PATH/.test(flags)) return null;
  const path = posix.resolve(folder === undefined ? workingDir : decode(folder), decode(name));
  return { path, realPath: decode(real), use: /O_WRONLY|O_RDWR|O_CREAT/.test(flags) ? "written" : "read" };
}

/** Bytes that are no plain letters are octal. */
function decode(text: string): string {
  const bytes = text.replace(/\\([0-7]{1,3}|.)/g, (_, code: string) =>
    /^[0-7]/.test(code) ? String.fromCharCode(Number.parseInt(code, 8)) : (LETTERS[code] ?? code),
  );
  return Buffer.from(bytes, "latin1").toString("utf8");
}

const LETTERS: Readonly<Record<string, string>> = { n: "\n", t: "\t", r: "\r", v: "\v", f: "\f" };
