import { readFile } from "node:fs/promises";
import { GevulotError } from "gevulot-sdk";
import { type CpioEntry, encodeCpio } from "./cpio.ts";
import { parseElf } from "./elf.ts";
import { type LoadedModules, MODULE_SETS, type ModuleSet } from "./kernelModules.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    BUSYBOX_NOT_FOUND: { readonly searched: readonly string[] };
  }
}

/** The guest's first program; beside `src` and `dist`, so that both find it. */
const INIT = new URL("../../guest/init.sh", import.meta.url);
const BUSYBOX_PATHS = ["/bin/busybox", "/usr/bin/busybox", "/usr/local/bin/busybox"];
/** What init.sh starts. */
const APPLETS = [
  "sh",
  "mount",
  "umount",
  "insmod",
  "stty",
  "mkdir",
  "chroot",
  "nsenter",
  "mkfifo",
  "mknod",
  "tee",
  "tail",
  "time",
  "ifconfig",
  "dmesg",
  "grep",
  "dd",
  "printf",
  "usleep",
  "stat",
  "cat",
  "sync",
  "poweroff",
];
const FOLDERS = ["bin", "dev", "etc", "etc/fstab.d", "lib", "lib/m", "n", "o", "proc", "r", "sys"];

const fstab = (root: string) =>
  [
    `proc ${root}/proc proc defaults 0 0`,
    `devtmpfs ${root}/dev devtmpfs defaults 0 0`,
    `sysfs ${root}/sys sysfs defaults 0 0`,
    ...(root === "" ? [] : [`tmpfs ${root}/tmp tmpfs mode=1777 0 0`]),
    "",
  ].join("\n");

/** The initial RAM disk: busybox, init and the kernel's modules. The same for all programs, and not packed. */
export async function createInitrd({ modules, order }: LoadedModules): Promise<Buffer> {
  const text = (path: string, content: string): CpioEntry => ({
    kind: "file",
    path,
    data: Buffer.from(content),
  });
  const sets = (Object.keys(MODULE_SETS) as ModuleSet[]).map((set) =>
    text(`lib/m/${set}`, order[set].map((name) => `${name}\n`).join("")),
  );
  return encodeCpio([
    ...FOLDERS.map((path): CpioEntry => ({ kind: "directory", path })),
    { kind: "file", path: "bin/busybox", data: await readBusybox(), executable: true },
    ...APPLETS.map((name): CpioEntry => ({ kind: "link", path: `bin/${name}`, target: "busybox" })),
    { kind: "file", path: "init", data: await readFile(INIT), executable: true },
    text("etc/fstab", fstab("")),
    text("etc/fstab.d/r", fstab("/r")),
    text("etc/fstab.d/n", fstab("/n")),
    ...modules.map(({ name, data }): CpioEntry => ({ kind: "file", path: `lib/m/${name}.ko`, data })),
    ...sets,
  ]);
}

async function readBusybox(): Promise<Buffer> {
  for (const path of BUSYBOX_PATHS) {
    const bytes = await readFile(path).catch(() => undefined);
    if (bytes && parseElf(bytes, path).interpreter === undefined) return bytes;
  }
  throw new GevulotError(
    "BUSYBOX_NOT_FOUND",
    `No statically linked busybox in ${BUSYBOX_PATHS.join(", ")}. Install it: apt-get install busybox-static.`,
    { context: { searched: BUSYBOX_PATHS } },
  );
}
