import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { type PciDevice, parseLspci, readPciDevices } from "../pci/pciDevices.ts";
import { planPassthrough } from "./passthrough.ts";

const device = (slot: string, id: string, more: Partial<PciDevice> = {}): PciDevice => ({
  ...{ slot, id, classId: "0300", driver: null, driverIsModule: null, iommuGroup: "13" },
  ...more,
});
const VGA = device("0000:01:00.0", "10de:2684");
const AUDIO = device("0000:01:00.1", "10de:22ba", { classId: "0403" });
const BRIDGE = device("0000:00:01.0", "8086:460d", { classId: "0604" });
const DISK = device("0000:02:00.0", "144d:a80a", { classId: "0108", iommuGroup: "14" });

describe("planPassthrough", () => {
  test.each(["01:00.0", "0000:01:00.0", "01:00", "0000:01:00"])(
    "%s is the card with all functions",
    (slot) => {
      expect(planPassthrough([BRIDGE, VGA, AUDIO, DISK], [slot])).toEqual({
        gpus: ["0000:01:00.0"],
        slots: ["0000:01:00.0", "0000:01:00.1"],
        ids: ["10de:2684", "10de:22ba"],
        iommuGroups: ["13"],
        warnings: [],
      });
    },
  );

  test("two cards of a kind: each id and group once, groups in order", () => {
    const second = device("0000:41:00.0", "10de:2684", { iommuGroup: "9" });
    expect(planPassthrough([VGA, AUDIO, second], ["01:00.0", "41:00.0", "01:00.0"])).toMatchObject({
      gpus: ["0000:01:00.0", "0000:41:00.0"],
      ids: ["10de:2684", "10de:22ba"],
      iommuGroups: ["9", "13"],
    });
  });

  test("what the host would lose as well is said", () => {
    const twin = device("0000:41:00.0", "10de:2684", { iommuGroup: "9" });
    const neighbour = device("0000:03:00.0", "8086:15f3", { classId: "0200" });
    const { warnings } = planPassthrough([BRIDGE, VGA, AUDIO, twin, neighbour], ["01:00.0"]);
    expect(warnings).toEqual([
      expect.stringMatching(/^0000:41:00\.0 has the same id 10de:2684/),
      expect.stringMatching(/^0000:03:00\.0 \[8086:15f3\] is in IOMMU group 13 too/),
    ]);
  });

  test.each([
    ["an empty slot", "05:00.0", [VGA], "GPU_NOT_FOUND", /There are: 0000:01:00\.0 \[10de:2684\]/],
    ["no card at all", "01:00.0", [DISK], "GPU_NOT_FOUND", /no display card at all/],
    ["no slot", "RTX 4090", [VGA], "GPU_NOT_FOUND", /"RTX 4090"/],
    ["no IOMMU", "01:00.0", [{ ...VGA, iommuGroup: null }], "GPU_NO_IOMMU", /intel_iommu=on/],
  ])("%s", (_, slot, devices, code, message) => {
    expect(() => planPassthrough(devices, [slot])).toThrow(
      expect.objectContaining({ code, message: expect.stringMatching(message) }),
    );
  });
});

test("lspci -nnDv is read: slot, class, id, driver, group", () => {
  const text = `0000:01:00.0 VGA compatible controller [0300]: NVIDIA Corporation AD102 [GeForce RTX 4090] [10de:2684] (rev a1) (prog-if 00 [VGA controller])
	Subsystem: Micro-Star International Co., Ltd. [MSI] AD102 [GeForce RTX 4090] [1462:5103]
	Flags: bus master, fast devsel, latency 0, IRQ 16, IOMMU group 13
	Kernel driver in use: nouveau

0000:01:00.1 Audio device [0403]: NVIDIA Corporation AD102 High Definition Audio Controller [10de:22ba] (rev a1)
	Flags: fast devsel, IRQ 255
`;
  expect(parseLspci(text)).toEqual([
    { ...VGA, driver: "nouveau" },
    { ...AUDIO, iommuGroup: null },
  ]);
  expect(parseLspci("nothing of the kind\n\tIOMMU group 3\n")).toEqual([]);
});

describe("readPciDevices", () => {
  let sys = "";
  afterEach(() => rm(sys, { recursive: true, force: true }));

  test("reads what the kernel shows, and tells a built-in driver from a module", async () => {
    sys = await mkdtemp(join(tmpdir(), "sysfs-"));
    const make = async (slot: string, files: Record<string, string>, links: Record<string, string>) => {
      const folder = join(sys, "bus/pci/devices", slot);
      await mkdir(folder, { recursive: true });
      for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), `${text}\n`);
      for (const [name, target] of Object.entries(links)) await symlink(target, join(folder, name));
    };
    await mkdir(join(sys, "bus/pci/drivers/nouveau/module"), { recursive: true });
    await mkdir(join(sys, "bus/pci/drivers/xhci_hcd"), { recursive: true });
    const group = { iommu_group: "../../../kernel/iommu_groups/13" };
    await make(
      "0000:01:00.0",
      { vendor: "0x10de", device: "0x2684", class: "0x030000" },
      { driver: "../../drivers/nouveau", ...group },
    );
    await make(
      "0000:01:00.2",
      { vendor: "0x10de", device: "0x1ad8", class: "0x0c0330" },
      { driver: "../../drivers/xhci_hcd" },
    );
    expect(await readPciDevices(sys)).toEqual([
      { ...VGA, driver: "nouveau", driverIsModule: true },
      device("0000:01:00.2", "10de:1ad8", {
        ...{ classId: "0c03", driver: "xhci_hcd", driverIsModule: false, iommuGroup: null },
      }),
    ]);
  });

  test("a machine without PCI has none", async () => {
    sys = await mkdtemp(join(tmpdir(), "sysfs-"));
    expect(await readPciDevices(sys)).toEqual([]);
  });
});
