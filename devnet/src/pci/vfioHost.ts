import { access, constants, readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";

/** How far this machine is prepared to hand cards to virtual machines, besides the cards themselves. */
export interface VfioHost {
  /** With underscores, as the kernel has them; also those that are part of the kernel. */
  readonly modules: ReadonlySet<string>;
  /** Drivers that modprobe leaves alone, with underscores. */
  readonly blacklist: ReadonlySet<string>;
  /** `10de:2684`, of modprobe's options for vfio-pci. */
  readonly reservedIds: ReadonlySet<string>;
  /** IOMMU groups whose device this process may read and write; null: there is no such device. */
  readonly groupAccess: ReadonlyMap<string, boolean>;
  /** What this process may lock of memory; Infinity without a limit. */
  readonly memlockBytes: number;
}

export interface VfioRoots {
  readonly sys: string;
  readonly proc: string;
  readonly dev: string;
  readonly etc: string;
}

/** Reads it; what can't be read is as if it were not there. */
export async function readVfioHost(roots: VfioRoots, groups: readonly string[]): Promise<VfioHost> {
  const [modules, settings, limits, access] = await Promise.all([
    readdir(join(roots.sys, "module")).catch(() => []),
    readModprobe(join(roots.etc, "modprobe.d")),
    readFile(join(roots.proc, "self/limits"), "utf8").catch(() => ""),
    Promise.all(groups.map((group) => groupAccess(roots.dev, group))),
  ]);
  const lines = settings.split("\n").map((line) => line.replace(/#.*/, "").trim().split(/\s+/));
  const [, soft = "unlimited"] = /^Max locked memory\s+(\S+)/m.exec(limits) ?? [];
  return {
    modules: new Set(modules),
    blacklist: new Set(
      lines.flatMap(([word, name]) => (word === "blacklist" && name ? [name.replaceAll("-", "_")] : [])),
    ),
    reservedIds: new Set(lines.flatMap(reservedIdsOf)),
    groupAccess: new Map(access.flatMap((entry) => (entry === null ? [] : [entry]))),
    memlockBytes: soft === "unlimited" ? Number.POSITIVE_INFINITY : Number(soft),
  };
}

async function readModprobe(folder: string): Promise<string> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".conf"));
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), "utf8").catch(() => "")));
  return texts.join("\n");
}

/** `options vfio-pci ids=10de:2684,10de:22ba`. */
function reservedIdsOf([word, module, ...options]: readonly string[]): string[] {
  if (word !== "options" || module?.replaceAll("-", "_") !== "vfio_pci") return [];
  return options.flatMap((option) => /^ids=(.+)$/.exec(option)?.[1]?.split(",") ?? []);
}

async function groupAccess(dev: string, group: string): Promise<[string, boolean] | null> {
  const path = join(dev, "vfio", group);
  if ((await stat(path).catch(() => null)) === null) return null;
  const isOpen = await access(path, constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return [group, isOpen];
}
