import { homedir } from "node:os";
import { join } from "node:path";

/** rust-vmm's VSOCK device, and the release that is known to work. */
export const VHOST_PROGRAM = "vhost-device-vsock";
export const VHOST_VERSION = "0.3.0";

/** Where the set-up installs it, as `cargo install --root` lays it out. */
export function installedProgram(home = homedir()): { readonly folder: string; readonly program: string } {
  const folder = join(home, ".cache", "gevulot", `${VHOST_PROGRAM}-${VHOST_VERSION}`);
  return { folder, program: join(folder, "bin", VHOST_PROGRAM) };
}
