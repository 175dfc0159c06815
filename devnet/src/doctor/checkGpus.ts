import { cardOf, isBridge, isDisplay, type PciDevice, readPciDevices } from "../pci/pciDevices.ts";
import { readVfioHost, type VfioHost } from "../pci/vfioHost.ts";
import { type Finding, fail, type MachineRoots, ok, warn } from "./finding.ts";

const VFIO = "vfio-pci";
/** The vendor whose cards are known to work. */
const NVIDIA = /^10de:/;
const HOST_DRIVERS = ["nouveau", "nvidia", "nvidiafb", "nvidia_drm"];
const MODULES = ["vfio_pci", "vfio_iommu_type1"];
const CHECK = "GPU";

/**
 * What stands in the way of a virtual machine that is to have a GPU: of the cards that are named, or else of all that
 * compute. All functions of a card, and all that share their IOMMU group, go to the machine together.
 *
 * @param wanted slots, as the node's `--gpu-devices` has them
 */
export async function checkGpus(roots: MachineRoots, wanted: readonly string[]): Promise<Finding[]> {
  const devices = await readPciDevices(roots.sys);
  const named = wanted.map((slot) => fullSlot(slot));
  const missing = named.filter((slot) => !devices.some((device) => device.slot === slot));
  const gpus = devices.filter((device) =>
    named.length > 0 ? named.includes(device.slot) : isCandidate(device),
  );
  const functions = [...new Set(gpus.flatMap((gpu) => cardOf(devices, gpu.slot)))];
  const groups = functions.flatMap(({ iommuGroup }) => iommuGroup ?? []);
  const host = await readVfioHost(roots, [...new Set(groups)]);
  // Those that are named are wanted now.
  const say: Say = wanted.length > 0 ? fail : warn;
  const absent = missing.map((slot) =>
    say(CHECK, `${slot} is no PCI device of this machine.`, "Find the slots with: lspci -nnD"),
  );
  if (gpus.length === 0) {
    const others = devices.filter(isDisplay).map(({ slot, id }) => `${slot} [${id}]`);
    const text = others.length > 0 ? `none to hand on; for the screen: ${others.join(", ")}` : "none";
    return absent.length > 0 ? absent : [ok(CHECK, text)];
  }
  const problems = [
    ...absent,
    ...functions.flatMap((device) => functionProblems(device, host, say)),
    ...neighbourProblems(devices, functions, say),
    ...hostProblems(host, functions, say),
    ...accessProblems(host, groups, say),
  ];
  if (problems.length > 0) return problems;
  return gpus.map(({ slot, id, iommuGroup }) =>
    ok(CHECK, `${slot} [${id}] is ready, IOMMU group ${iommuGroup}`),
  );
}

type Say = (check: string, text: string, mend: string) => Finding;

function isCandidate(device: PciDevice): boolean {
  return isDisplay(device) && (NVIDIA.test(device.id) || device.driver === VFIO);
}

function fullSlot(slot: string): string {
  const text = /^[0-9a-f]{4,8}:/i.test(slot) ? slot : `0000:${slot}`;
  return (text.includes(".") ? text : `${text}.0`).toLowerCase();
}

function functionProblems(device: PciDevice, { reservedIds }: VfioHost, say: Say): Finding[] {
  const { slot, id, driver, iommuGroup } = device;
  const problems: Finding[] = [];
  if (iommuGroup === null) {
    const text = `${slot} [${id}] is in no IOMMU group.`;
    const mend =
      "Switch on VT-d or AMD-Vi in the firmware, and boot with intel_iommu=on iommu=pt (AMD: iommu=pt).";
    problems.push(say(CHECK, text, mend));
  }
  if (driver !== VFIO) {
    const has = driver === null ? "has no driver" : `has the host's driver ${driver}`;
    problems.push(say(CHECK, `${slot} [${id}] ${has}, and not ${VFIO}.`, bindCommand(device)));
  } else if (!reservedIds.has(id)) {
    const text = `${slot} [${id}] has ${VFIO} now; modprobe's settings don't say that it will after the next start.`;
    problems.push(
      warn(
        CHECK,
        text,
        `Where no driverctl and no unit does it: add ${id} to \`options ${VFIO} ids=…\` in /etc/modprobe.d`,
      ),
    );
  }
  return problems;
}

/** For now; `driverctl` also keeps it. What is part of the kernel can't be kept away from the card by modprobe. */
function bindCommand({ slot, driver, driverIsModule }: PciDevice): string {
  const folder = `/sys/bus/pci/devices/${slot}`;
  const unbind = driver === null ? "" : `echo ${slot} > ${folder}/driver/unbind; `;
  const byHand = `sudo sh -c 'modprobe ${VFIO}; echo ${VFIO} > ${folder}/driver_override; ${unbind}echo ${slot} > /sys/bus/pci/drivers_probe'`;
  return driverIsModule === false
    ? `${byHand} (at each start: the unit of \`gevulot-devnet export quadlet\`, as ${driver} is part of the kernel)`
    : `sudo driverctl set-override ${slot} ${VFIO}, or ${byHand}`;
}

function neighbourProblems(
  devices: readonly PciDevice[],
  functions: readonly PciDevice[],
  say: Say,
): Finding[] {
  const groups = new Set(functions.flatMap(({ iommuGroup }) => iommuGroup ?? []));
  return devices
    .filter((device) => !functions.includes(device) && !isBridge(device) && device.driver !== VFIO)
    .filter(({ iommuGroup }) => iommuGroup !== null && groups.has(iommuGroup))
    .map((device) =>
      say(
        CHECK,
        `${device.slot} [${device.id}] shares IOMMU group ${device.iommuGroup} with a GPU, and the host uses it.`,
        `Move the card to another slot, or give this device away too: ${bindCommand(device)}`,
      ),
    );
}

function hostProblems(
  { modules, blacklist }: VfioHost,
  functions: readonly PciDevice[],
  say: Say,
): Finding[] {
  const problems: Finding[] = [];
  const lacking = MODULES.filter((name) => !modules.has(name));
  if (lacking.length > 0) {
    const mend = `sudo modprobe -a ${lacking.join(" ")} (at each start: a line each in /etc/modules-load.d/gevulot-gpu.conf)`;
    problems.push(say(CHECK, `Not loaded: ${lacking.join(", ")}.`, mend));
  }
  const free = HOST_DRIVERS.filter((name) => !blacklist.has(name));
  if (free.length > 0 && functions.some(({ id }) => NVIDIA.test(id))) {
    const text = `Drivers of the host may take the card at the next start: ${free.join(", ")}.`;
    const lines = free.map((name) => `"blacklist ${name}"`).join(" ");
    problems.push(
      warn(CHECK, text, `printf '%s\\n' ${lines} | sudo tee -a /etc/modprobe.d/gevulot-gpu.conf`),
    );
  }
  return problems;
}

const UDEV = `echo 'SUBSYSTEM=="vfio", GROUP="kvm", MODE="0660"' | sudo tee /etc/udev/rules.d/90-gevulot-vfio.rules && sudo udevadm control --reload && sudo udevadm trigger`;

function accessProblems(
  { groupAccess, memlockBytes }: VfioHost,
  groups: readonly string[],
  say: Say,
): Finding[] {
  const closed = [...new Set(groups)].filter((group) => groupAccess.get(group) === false);
  const problems = closed.map((group) =>
    say(
      CHECK,
      `/dev/vfio/${group} may not be read and written by this user.`,
      `${UDEV}; the user in the group kvm: sudo usermod -aG kvm "$USER"`,
    ),
  );
  if (Number.isFinite(memlockBytes)) {
    const mib = Math.floor(memlockBytes / 2 ** 20);
    const mend = `ulimit -l unlimited, for good "* - memlock unlimited" in /etc/security/limits.d/gevulot.conf, of a unit LimitMEMLOCK=infinity`;
    problems.push(
      say(CHECK, `Only ${mib} MiB of memory may be locked; a VM with a GPU locks all of its own.`, mend),
    );
  }
  return problems;
}
