import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { checkGpus } from "./checkGpus.ts";
import type { MachineRoots } from "./finding.ts";

interface Device {
  readonly slot: string;
  readonly id: string;
  readonly classId: string;
  readonly driver?: string;
  /** The driver is part of the kernel. */
  readonly isBuiltIn?: boolean;
  readonly group?: string;
}

interface Machine {
  readonly devices: readonly Device[];
  readonly modules: readonly string[];
  readonly modprobe: string;
  readonly memlock: string;
  /** Of `/dev/vfio`. */
  readonly groups: readonly string[];
}

const GPU: Device = {
  slot: "0000:01:00.0",
  id: "10de:2684",
  classId: "0300",
  driver: "vfio-pci",
  group: "14",
};
const SOUND: Device = { ...GPU, slot: "0000:01:00.1", id: "10de:22ba", classId: "0403" };
const BRIDGE: Device = {
  slot: "0000:00:01.0",
  id: "8086:460d",
  classId: "0604",
  driver: "pcieport",
  group: "14",
};
const SCREEN: Device = { slot: "0000:00:02.0", id: "8086:a780", classId: "0300", driver: "i915", group: "0" };
const READY: Machine = {
  devices: [SCREEN, BRIDGE, GPU, SOUND],
  modules: ["vfio_pci", "vfio_iommu_type1"],
  modprobe: [
    "# the card is a guest's",
    ...["nouveau", "nvidia", "nvidiafb", "nvidia-drm"].map((name) => `blacklist ${name}`),
    "options vfio-pci ids=10de:2684,10de:22ba disable_vga=1",
  ].join("\n"),
  memlock: "unlimited",
  groups: ["14"],
};

let root = "";
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "doctor-"));
});
afterEach(() => rm(root, { recursive: true, force: true }));

async function put(path: string, text: string): Promise<void> {
  await mkdir(join(path, ".."), { recursive: true });
  await writeFile(path, text);
}

/** The files of a machine's kernel, as far as they are looked at. */
async function lay(machine: Machine): Promise<MachineRoots> {
  const roots = {
    sys: join(root, "sys"),
    proc: join(root, "proc"),
    dev: join(root, "dev"),
    etc: join(root, "etc"),
  };
  for (const { slot, id, classId, driver, isBuiltIn, group } of machine.devices) {
    const folder = join(roots.sys, "bus/pci/devices", slot);
    const [vendor, device] = id.split(":");
    await put(join(folder, "vendor"), `0x${vendor}\n`);
    await put(join(folder, "device"), `0x${device}\n`);
    await put(join(folder, "class"), `0x${classId}00\n`);
    if (group !== undefined)
      await symlink(`../../../../kernel/iommu_groups/${group}`, join(folder, "iommu_group"));
    if (driver === undefined) continue;
    const driverFolder = join(roots.sys, "bus/pci/drivers", driver);
    await mkdir(driverFolder, { recursive: true });
    if (!isBuiltIn) await put(join(driverFolder, "module/version"), "1");
    await symlink(driverFolder, join(folder, "driver"));
  }
  for (const name of machine.modules) await mkdir(join(roots.sys, "module", name), { recursive: true });
  await put(join(roots.etc, "modprobe.d/gpu.conf"), machine.modprobe);
  await put(join(roots.etc, "modprobe.d/old.conf.bak"), "blacklist everything");
  const limit = `Limit                     Soft Limit  Hard Limit  Units\nMax locked memory         ${machine.memlock}     unlimited   bytes\n`;
  await put(join(roots.proc, "self/limits"), limit);
  for (const group of machine.groups) await put(join(roots.dev, "vfio", group), "");
  return roots;
}

const replaced = (device: Device, changes: Partial<Device>): Device[] =>
  READY.devices.map((each) => (each === device ? { ...device, ...changes } : each));

test.each<[string, Partial<Machine>, [state: string, text: RegExp, mend: RegExp | null][]]>([
  ["no PCI at all", { devices: [] }, [["ok", /^none$/, null]]],
  [
    "only a screen's card",
    { devices: [SCREEN] },
    [["ok", /none to hand on; for the screen: 0000:00:02.0/, null]],
  ],
  ["all is ready", {}, [["ok", /0000:01:00.0 \[10de:2684\] is ready, IOMMU group 14/, null]]],
  [
    "the host's driver has the card",
    { devices: replaced(GPU, { driver: "nouveau" }) },
    [
      [
        "warn",
        /0000:01:00.0 .* has the host's driver nouveau/,
        /^sudo driverctl set-override 0000:01:00.0 vfio-pci, or sudo sh -c .*driver\/unbind/,
      ],
    ],
  ],
  [
    "the host's sound driver has the card's second function, and can't be kept away",
    { devices: replaced(SOUND, { driver: "snd_hda_intel", isBuiltIn: true }) },
    [["warn", /0000:01:00.1 .* snd_hda_intel/, /^sudo sh -c .*snd_hda_intel is part of the kernel/]],
  ],
  [
    "a function without a driver",
    { devices: replaced(SOUND, { driver: undefined as never }) },
    [["warn", /0000:01:00.1 .* has no driver/, /drivers_probe/]],
  ],
  [
    "no IOMMU",
    { devices: [{ ...GPU, group: undefined as never }], groups: [] },
    [["warn", /is in no IOMMU group/, /intel_iommu=on/]],
  ],
  [
    "a stranger in the card's group",
    {
      devices: [
        ...READY.devices,
        { slot: "0000:02:00.0", id: "8086:15f3", classId: "0200", driver: "igc", group: "14" },
      ],
    },
    [["warn", /0000:02:00.0 .* shares IOMMU group 14/, /another slot/]],
  ],
  [
    "modules missing",
    { modules: [] },
    [["warn", /Not loaded: vfio_pci, vfio_iommu_type1/, /^sudo modprobe -a vfio_pci vfio_iommu_type1/]],
  ],
  [
    "the host's drivers are not kept away, and ids not kept for vfio-pci",
    { modprobe: "#blacklist nouveau\nblacklist nvidia" },
    [
      ["warn", /modprobe's settings don't say/, /add 10de:2684 to/],
      ["warn", /modprobe's settings don't say/, /add 10de:22ba to/],
      ["warn", /nouveau, nvidiafb, nvidia_drm/, /printf .*"blacklist nvidiafb".*modprobe.d/],
    ],
  ],
  ["little memory may be locked", { memlock: "8388608" }, [["warn", /Only 8 MiB/, /ulimit -l unlimited/]]],
])("%s", async (_, changes, wanted) => {
  const found = await checkGpus(await lay({ ...READY, ...changes }), []);
  expect(found.map(({ state }) => state)).toEqual(wanted.map(([state]) => state));
  for (const [index, [, text, mend]] of wanted.entries()) {
    expect(found[index]?.text).toMatch(text);
    if (mend === null) expect(found[index]?.mend).toBeNull();
    else expect(found[index]?.mend).toMatch(mend);
  }
});

test("cards that are named are needed, and those that are not there said", async () => {
  const roots = await lay({ ...READY, devices: replaced(GPU, { driver: "nouveau" }) });
  const found = await checkGpus(roots, ["01:00", "0000:41:00.0"]);
  expect(found.map(({ state, text }) => [state, text.split(" ")[0]])).toEqual([
    ["fail", "0000:41:00.0"],
    ["fail", "0000:01:00.0"],
  ]);
});
