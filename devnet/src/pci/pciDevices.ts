import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { basename, join } from "node:path";

/** One function of a card in a PCI slot. */
export interface PciDevice {
  /** `0000:01:00.0`: domain, bus, device, function. */
  readonly slot: string;
  /** `10de:2684`: vendor and device. */
  readonly id: string;
  /** Four hex digits: `0300` is a VGA controller, `0302` a 3D controller. */
  readonly classId: string;
  /** Null where no driver has it. */
  readonly driver: string | null;
  /** False where the driver is part of the kernel, null where that is not known. */
  readonly driverIsModule: boolean | null;
  /** Null where the IOMMU is off. */
  readonly iommuGroup: string | null;
}

const DISPLAY_CLASS = /^03/;
const BRIDGE_CLASS = /^06/;

export function isDisplay({ classId }: PciDevice): boolean {
  return DISPLAY_CLASS.test(classId);
}

/** Bridges stay with the host, whichever group they are in. */
export function isBridge({ classId }: PciDevice): boolean {
  return BRIDGE_CLASS.test(classId);
}

/** All functions of the card that a function belongs to, in order. */
export function cardOf(devices: readonly PciDevice[], slot: string): PciDevice[] {
  const card = slot.slice(0, slot.lastIndexOf("."));
  return devices.filter((device) => device.slot.startsWith(`${card}.`));
}

/** What the kernel says of this machine; empty where there is no PCI. */
export async function readPciDevices(sysDir = "/sys"): Promise<PciDevice[]> {
  const folder = join(sysDir, "bus/pci/devices");
  const slots = await readdir(folder).catch(() => []);
  return Promise.all(slots.sort().map((slot) => readDevice(join(folder, slot), slot)));
}

async function readDevice(folder: string, slot: string): Promise<PciDevice> {
  const hex = async (name: string) =>
    (await readFile(join(folder, name), "utf8").catch(() => "0x0000")).trim().replace(/^0x/, "");
  const linkName = (name: string) =>
    readlink(join(folder, name)).then(
      (target) => basename(target),
      () => null,
    );
  const [vendor, device, classId, driver, iommuGroup] = await Promise.all([
    hex("vendor"),
    hex("device"),
    hex("class"),
    linkName("driver"),
    linkName("iommu_group"),
  ]);
  const isModule = stat(join(folder, "driver/module")).then(
    () => true,
    () => false,
  );
  return {
    slot,
    id: `${vendor}:${device}`,
    classId: classId.slice(0, 4),
    driver,
    driverIsModule: driver === null ? null : await isModule,
    iommuGroup,
  };
}

const LSPCI_FIRST_LINE =
  /^([0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]) .*?\[([0-9a-f]{4})\]: .*\[([0-9a-f]{4}:[0-9a-f]{4})\]/;

/** What `lspci -nnDv` printed on another machine. Lines that it doesn't know are passed over. */
export function parseLspci(text: string): PciDevice[] {
  const devices: PciDevice[] = [];
  for (const line of text.split("\n")) {
    const first = LSPCI_FIRST_LINE.exec(line);
    if (first) {
      const [, slot = "", classId = "", id = ""] = first;
      devices.push({ slot, id, classId, driver: null, driverIsModule: null, iommuGroup: null });
      continue;
    }
    const last = devices.at(-1);
    if (last === undefined || !/^\s/.test(line)) continue;
    const iommuGroup = /IOMMU group:? (\d+)/.exec(line)?.[1] ?? last.iommuGroup;
    const driver = /Kernel driver in use: (\S+)/.exec(line)?.[1] ?? last.driver;
    devices[devices.length - 1] = { ...last, iommuGroup, driver };
  }
  return devices;
}
