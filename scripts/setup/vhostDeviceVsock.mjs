import { accessSync, constants, existsSync } from "node:fs";
import { mkdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { run } from "./run.mjs";

/** This machine, as far as this step looks at it. */
const HERE = {
  platform: process.platform,
  home: homedir(),
  searchPath: process.env.PATH ?? "",
  given: process.env.GEVULOT_VHOST_DEVICE_VSOCK,
  device: "/dev/vhost-vsock",
};

/** It takes half a minute on two cores. */
const TIMEOUT_MS = 6 * 60_000;
/** Without this each run of the tests would try again, and wait, where there is no network. */
const RETRY_MS = 24 * 60 * 60_000;
/** A quick build: the program only passes bytes on. */
const PROFILE = {
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  CARGO_PROFILE_RELEASE_DEBUG: "0",
};

/**
 * rust-vmm's program by which VMs reach the node over VSOCK where the kernel has no device for that. Never fails: without
 * it tasks travel as files.
 *
 * @param {string} root
 * @param {typeof HERE} machine
 */
export async function vhostDeviceVsock(root, machine = HERE) {
  const none = (/** @type {string} */ text) => ({ text, did: false });
  const { platform, device, given, searchPath, home } = machine;
  if (platform !== "linux") return none(`not for ${platform}: tasks travel as files`);
  if (isUsable(device)) return none(`not needed: ${device} is there`);
  const module = join(root, "devnet/dist/vm/vsock/installedProgram.js");
  if (!existsSync(module)) return none("comes with the build");
  const { installedProgram, VHOST_PROGRAM, VHOST_VERSION } = await import(pathToFileURL(module).href);
  const { folder, program } = installedProgram(home);
  if (given || find(VHOST_PROGRAM, searchPath) || existsSync(program)) return none("is there");
  const cargo = find("cargo", [searchPath, join(home, ".cargo", "bin")].join(delimiter));
  if (!cargo) return none("not installed, as cargo is missing (https://rustup.rs): tasks travel as files");

  const failedFile = `${folder}.failed`;
  const failed = await stat(failedFile).catch(() => undefined);
  if (failed && Date.now() - failed.mtimeMs < RETRY_MS) {
    return none(
      `not installed: cargo failed less than a day ago (${failedFile} has why; delete it to try again)`,
    );
  }
  console.log(`VSOCK            cargo install ${VHOST_PROGRAM} ${VHOST_VERSION} (about a minute)`);
  const temporary = `${folder}.tmp-${process.pid}`;
  await mkdir(temporary, { recursive: true });
  try {
    const install = ["install", "--locked", "--version", VHOST_VERSION, "--root", temporary, VHOST_PROGRAM];
    const env = { ...PROFILE, CARGO_TARGET_DIR: join(temporary, "target") };
    const { code, output } = await run([cargo, ...install], { env, timeoutMs: TIMEOUT_MS });
    if (code === 0) {
      await rm(env.CARGO_TARGET_DIR, { recursive: true, force: true });
      await rm(folder, { recursive: true, force: true });
      await rename(temporary, folder);
      await rm(failedFile, { force: true });
      return { text: "installed by cargo", did: true };
    }
    await writeFile(failedFile, output);
    const reason = output.trim().split("\n").at(-1);
    return none(
      `not installed, as cargo failed (${reason}; all of it in ${failedFile}): tasks travel as files`,
    );
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

/** @param {string} device */
function isUsable(device) {
  try {
    accessSync(device, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} program @param {string} searchPath as `PATH` */
function find(program, searchPath) {
  return searchPath
    .split(delimiter)
    .filter((folder) => folder !== "")
    .map((folder) => join(folder, program))
    .find((path) => existsSync(path));
}
