import type { OutputFile } from "./outputFiles.ts";
import type { Passthrough } from "./passthrough.ts";
import { unitFile } from "./unitFile.ts";

/** Drivers that would take a card for the host. */
const HOST_DRIVERS = ["nouveau", "nvidia", "nvidiafb", "nvidia-drm"];
/** And those of a card's sound and USB functions: what comes first has them. */
const AFTER_VFIO = [...HOST_DRIVERS, "snd_hda_intel", "xhci_pci", "nvidia-gpu"];
const GPU_MODULES = ["vfio-pci", "vfio_iommu_type1", "vfio_mdev", "kvmgt"];
const BIND_SCRIPT = "usr/local/libexec/gevulot-vfio-bind";

/** What the machine itself needs, container or not: modules, permissions, and cards that the host leaves alone. */
export function hostFiles(passthrough: Passthrough): OutputFile[] {
  const modules = [
    {
      path: "etc/modules-load.d/gevulot.conf",
      content: lines("# For virtual machines' VSOCK.", "vsock", "vhost_vsock"),
    },
  ];
  return passthrough.slots.length === 0 ? modules : [...modules, ...gpuFiles(passthrough)];
}

function gpuFiles({ slots, ids }: Passthrough): OutputFile[] {
  return [
    {
      path: "etc/modules-load.d/gevulot-gpu.conf",
      content: lines(
        "# Handing GPUs to virtual machines. Not every kernel has the last two, which are for parts of a card:",
        "# systemd-modules-load says that they are missing, and loads the others.",
        ...GPU_MODULES,
      ),
    },
    {
      path: "etc/modprobe.d/gevulot-gpu.conf",
      content: lines(
        "# The host does not use the card.",
        ...HOST_DRIVERS.map((name) => `blacklist ${name}`),
        "# All functions of the card, by vendor and device.",
        `options vfio-pci ids=${ids.join(",")}`,
        ...AFTER_VFIO.map((name) => `softdep ${name} pre: vfio-pci`),
      ),
    },
    {
      path: "etc/udev/rules.d/90-gevulot-vfio.rules",
      content: lines(
        "# QEMU runs without root's rights, in the group of /dev/kvm.",
        'SUBSYSTEM=="vfio", GROUP="kvm", MODE="0660"',
      ),
    },
    { path: BIND_SCRIPT, content: BIND_TEXT, mode: 0o755 },
    {
      path: "etc/systemd/system/gevulot-vfio-bind.service",
      content: unitFile({
        Unit: [
          ["Description", "Bind every function of the GPUs to vfio-pci"],
          ["After", "systemd-modules-load.service"],
          ["Before", "gevulot-node.service"],
        ],
        Service: [
          ["Type", "oneshot"],
          ["RemainAfterExit", "yes"],
          ["ExecStart", `/${BIND_SCRIPT} ${slots.join(" ")}`],
        ],
        Install: [["WantedBy", "multi-user.target"]],
      }),
    },
  ];
}

function lines(...all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}

/**
 * A driver that is part of the kernel takes its function before any module comes; `options vfio-pci ids=` is too late for it.
 * `SYSFS` is for trying it.
 */
const BIND_TEXT = `#!/bin/sh
# Binds PCI functions to vfio-pci, whichever driver has them now: gevulot-vfio-bind 0000:01:00.0 ...
set -eu
sysfs=\${SYSFS:-/sys}
failed=0
for slot in "$@"; do
  device=$sysfs/bus/pci/devices/$slot
  if [ ! -e "$device" ]; then
    echo "gevulot-vfio-bind: no device in slot $slot; is the card there? See lspci -nnD." >&2
    failed=1
    continue
  fi
  driver=none
  if [ -e "$device/driver" ]; then driver=$(basename "$(readlink -f "$device/driver")"); fi
  if [ "$driver" = vfio-pci ]; then continue; fi
  # From now on no other driver takes it.
  echo vfio-pci >"$device/driver_override"
  if [ "$driver" != none ]; then echo "$slot" >"$sysfs/bus/pci/drivers/$driver/unbind"; fi
  if echo "$slot" >"$sysfs/bus/pci/drivers/vfio-pci/bind"; then
    echo "gevulot-vfio-bind: $slot from $driver to vfio-pci"
  else
    echo "gevulot-vfio-bind: vfio-pci does not take $slot; see dmesg, and that the IOMMU is on." >&2
    failed=1
  fi
done
exit $failed
`;
