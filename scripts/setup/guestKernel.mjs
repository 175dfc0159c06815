import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { ensureAptLists } from "./systemPackages.mjs";

/**
 * Gets the kernel that virtual machines boot, so that no later start has to download anything.
 *
 * @param {string} root
 */
export async function guestKernel(root) {
  const module = join(root, "devnet/dist/image/ensureGuestKernel.js");
  if (!existsSync(module)) return { text: "comes with the first image", did: false };
  const cacheDir = join(homedir(), ".cache", "gevulot");
  // Debian's kernel is asked for by apt-get.
  if (!existsSync(join(cacheDir, "kernel"))) await ensureAptLists();
  const { ensureGuestKernel } = await import(pathToFileURL(module).href);
  let did = false;
  await ensureGuestKernel({
    cacheDir,
    onProgress: () => {
      did = true;
    },
  });
  return { text: did ? "downloaded and unpacked" : "is there", did };
}
