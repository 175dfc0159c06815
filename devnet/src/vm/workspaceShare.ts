import { lchown, readdir, statfs } from "node:fs/promises";
import { join } from "node:path";

/** File systems that keep extended attributes of users, by their magic number. */
const WITH_XATTRS = new Set([
  0xef53, // ext2 to ext4
  0x58465342, // XFS
  0x9123683e, // Btrfs
  0x794c7630, // overlay
  0xf2f52010, // F2FS
  0x2fc12fc1, // ZFS
]);

/**
 * Where QEMU notes owners, modes and links that the guest makes: in extended attributes, or, where those may be
 * missing (tmpfs, network file systems), in files of its own (`.virtfs_metadata`).
 *
 * @param canReadAttributes what is a link must be known here too
 */
export async function shareSecurityModel(
  workspaceDir: string,
  canReadAttributes: boolean,
): Promise<"mapped-xattr" | "mapped-file"> {
  if (!canReadAttributes) return "mapped-file";
  if (process.platform === "darwin") return "mapped-xattr";
  const { type } = await statfs(workspaceDir);
  return WITH_XATTRS.has(type) ? "mapped-xattr" : "mapped-file";
}

/** Gives a folder and all in it to a user, links themselves and not what they point to. */
export async function giveTo(
  path: string,
  owner: { readonly uid: number; readonly gid: number },
): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) await giveTo(child, owner);
    else await lchown(child, owner.uid, owner.gid);
  }
  await lchown(path, owner.uid, owner.gid);
}
