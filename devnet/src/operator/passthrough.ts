import { GevulotError } from "gevulot-sdk";
import { cardOf, isBridge, isDisplay, type PciDevice } from "../pci/pciDevices.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    GPU_NOT_FOUND: { slot: string };
    GPU_NO_IOMMU: { slot: string };
  }
}

/** What of a machine is handed to virtual machines. */
export interface Passthrough {
  /** The functions that compute, as the node names them. */
  readonly gpus: readonly string[];
  /** Every function of these cards, all of which vfio-pci must have. */
  readonly slots: readonly string[];
  /** Their `vendor:device`, each once. */
  readonly ids: readonly string[];
  readonly iommuGroups: readonly string[];
  /** What the operator should look at. */
  readonly warnings: readonly string[];
}

export const NO_PASSTHROUGH: Passthrough = { gpus: [], slots: [], ids: [], iommuGroups: [], warnings: [] };

const SLOT = /^(?:([0-9a-f]{4,8}):)?([0-9a-f]{2}:[0-9a-f]{2})(?:\.([0-7]))?$/i;

/**
 * Finds all functions of the cards in `wanted`, slots as `lspci` writes them, with or without domain and function.
 * Throws `GPU_NOT_FOUND` and `GPU_NO_IOMMU`.
 */
export function planPassthrough(devices: readonly PciDevice[], wanted: readonly string[]): Passthrough {
  const gpus = wanted.map((text) => findGpu(devices, text));
  const functions = [...new Set(gpus.flatMap((gpu) => cardOf(devices, gpu.slot)))];
  const groups = [...new Set(functions.map(groupOf))].sort((a, b) => Number(a) - Number(b));
  const ids = [...new Set(functions.map(({ id }) => id))];
  return {
    gpus: [...new Set(gpus.map(({ slot }) => slot))],
    slots: functions.map(({ slot }) => slot),
    ids,
    iommuGroups: groups,
    warnings: devices
      .filter((device) => !functions.includes(device) && !isBridge(device))
      .flatMap((device) => warningsOf(device, ids, groups)),
  };
}

function findGpu(devices: readonly PciDevice[], text: string): PciDevice {
  const [, domain = "0000", place = "", wantedFunction = "0"] = SLOT.exec(text) ?? [];
  const slot = `${domain}:${place}.${wantedFunction}`.toLowerCase();
  const found = devices.find((device) => device.slot === slot);
  if (found !== undefined) return found;
  const others = devices.filter(isDisplay).map((device) => `${device.slot} [${device.id}]`);
  const hint = others.length > 0 ? `There are: ${others.join(", ")}.` : "There is no display card at all.";
  throw new GevulotError(
    "GPU_NOT_FOUND",
    `No device in the PCI slot "${text}". ${hint} For another machine give what \`sudo lspci -nnDv\` prints there: --lspci FILE.`,
    { context: { slot: text } },
  );
}

function groupOf({ slot, iommuGroup }: PciDevice): string {
  if (iommuGroup !== null) return iommuGroup;
  throw new GevulotError(
    "GPU_NO_IOMMU",
    `${slot} is in no IOMMU group. Switch on VT-d or AMD-Vi in the firmware, boot with intel_iommu=on iommu=pt (AMD: iommu=pt), and try again; with --lspci, the file must be of \`sudo lspci -nnDv\`.`,
    { context: { slot } },
  );
}

function warningsOf(device: PciDevice, ids: readonly string[], groups: readonly string[]): string[] {
  const { slot, id, iommuGroup } = device;
  if (iommuGroup !== null && groups.includes(iommuGroup)) {
    return [
      `${slot} [${id}] is in IOMMU group ${iommuGroup} too: a VM can't have the card while the host uses it; move the card to another slot, or bind it to vfio-pci as well.`,
    ];
  }
  if (ids.includes(id)) {
    return [
      `${slot} has the same id ${id} as a GPU that is handed on: vfio-pci will take it from the host too.`,
    ];
  }
  return [];
}
