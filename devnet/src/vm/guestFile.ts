import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { requireKoffi } from "./requireKoffi.ts";

/** What a plain file of the host is to the guest that made it. */
export type GuestFileKind = "file" | "link" | "other";

/** Looks at an open file, by its path too. */
export type GuestFileLook = (file: FileHandle, path: string) => Promise<GuestFileKind>;

/** QEMU's own in a share whose notes are files, which guests don't see. */
export const NOTES_FOLDER = ".virtfs_metadata";
export const ROOT_NOTE = ".virtfs_metadata_root";
const ATTRIBUTE = "user.virtfs.mode";
const MODE_BYTES = 4;
const MAX_NOTE_BYTES = 256;

/**
 * In a share a guest's symbolic link, pipe or device is a plain file of the host, and QEMU notes what it is: in an
 * attribute, or in a file beside it. A link's file holds the text of the link.
 */
export function createGuestFileLook(): GuestFileLook {
  const readAttribute = attributeReader();
  return async (file, path) => {
    const mode = readAttribute?.(file.fd) ?? (await noteBeside(path));
    const type = mode === null ? 0 : mode & constants.S_IFMT;
    if (type === 0 || type === constants.S_IFREG) return "file";
    return type === constants.S_IFLNK ? "link" : "other";
  };
}

/** Where they can't be, notes must be files. */
export function canReadAttributes(): boolean {
  return attributeReader() !== null;
}

function attributeReader(): ((fd: number) => number | null) | null {
  const isMac = process.platform === "darwin";
  if (!isMac && process.platform !== "linux") return null;
  const declaration = `long fgetxattr(int fd, const char *name, _Out_ uint8_t *value, size_t bytes${isMac ? ", uint32_t position, int options" : ""})`;
  try {
    const read = requireKoffi().load(null).func(declaration);
    return (fd) => {
      const value = Buffer.alloc(MODE_BYTES);
      const bytes = read(fd, ATTRIBUTE, value, MODE_BYTES, ...(isMac ? [0, 0] : []));
      return bytes === MODE_BYTES ? value.readUInt32LE() : null;
    };
  } catch {
    return null;
  }
}

/** It is QEMU's own, unless the notes are attributes; then the guest may have made it, and deceives itself. */
async function noteBeside(path: string): Promise<number | null> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
  const note = await open(join(dirname(path), NOTES_FOLDER, basename(path)), flags).catch(() => null);
  if (note === null) return null;
  try {
    const { buffer, bytesRead } = await note.read(Buffer.alloc(MAX_NOTE_BYTES), 0, MAX_NOTE_BYTES, 0);
    const [, mode] = /^virtfs\.mode=(\d+)$/m.exec(buffer.toString("latin1", 0, bytesRead)) ?? [];
    return mode === undefined ? null : Number(mode);
  } catch {
    // A folder of that name.
    return null;
  } finally {
    await note.close();
  }
}
