/** An entry of an initial RAM file system. Parents must come before what is in them. */
export type CpioEntry =
  | { readonly kind: "directory"; readonly path: string }
  | { readonly kind: "file"; readonly path: string; readonly data: Uint8Array; readonly executable?: boolean }
  | { readonly kind: "link"; readonly path: string; readonly target: string };

const MAGIC = "070701";
const ALIGNMENT = 4;
const DIRECTORY = 0o040755;
const FILE = 0o100644;
const PROGRAM = 0o100755;
const LINK = 0o120777;

/**
 * An archive in the kernel's "newc" format. No clocks and no owners go in: the same entries make the same bytes.
 * Paths are relative, without a leading slash.
 */
export function encodeCpio(entries: readonly CpioEntry[]): Buffer {
  const parts: Buffer[] = [];
  entries.forEach((entry, index) => {
    parts.push(...record(entry.path, modeOf(entry), contentOf(entry), index + 1));
  });
  parts.push(...record("TRAILER!!!", 0, Buffer.alloc(0), 0));
  return Buffer.concat(parts);
}

function modeOf(entry: CpioEntry): number {
  if (entry.kind === "directory") return DIRECTORY;
  if (entry.kind === "link") return LINK;
  return entry.executable ? PROGRAM : FILE;
}

function contentOf(entry: CpioEntry): Uint8Array {
  if (entry.kind === "file") return entry.data;
  return Buffer.from(entry.kind === "link" ? entry.target : "");
}

function record(path: string, mode: number, content: Uint8Array, inode: number): Buffer[] {
  const name = Buffer.from(`${path}\0`);
  const links = mode === DIRECTORY ? 2 : 1;
  // inode, mode, uid, gid, links, mtime, size, device (2), special device (2), name length, checksum
  const fields = [inode, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(MAGIC + fields.map((field) => field.toString(16).padStart(8, "0")).join(""));
  return [padded(Buffer.concat([header, name])), padded(Buffer.from(content))];
}

function padded(bytes: Buffer): Buffer {
  const rest = bytes.length % ALIGNMENT;
  return rest === 0 ? bytes : Buffer.concat([bytes, Buffer.alloc(ALIGNMENT - rest)]);
}
