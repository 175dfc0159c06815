import type { QemuVsock } from "./vsockHost.ts";

/**
 * QEMU's arguments for a VSOCK device (protocol section 8), for any machine.
 *
 * @param memMib as `-m` says: another process works in the guest's memory, which must be made for that
 * @param fd the number under which QEMU inherits the descriptor of a `vhost` device
 */
export function vsockArgs(vsock: QemuVsock, memMib: number, fd: number): string[] {
  if (vsock.kind === "vhost") {
    // The descriptor already has the number; QEMU may not be allowed to open the device itself.
    return ["-device", `vhost-vsock-pci,guest-cid=${vsock.cid},vhostfd=${fd}`];
  }
  return [
    ...["-object", `memory-backend-memfd,id=shared,size=${memMib}M,share=on`],
    ...["-machine", "memory-backend=shared"],
    ...["-chardev", `socket,id=vsock,path=${vsock.socketPath.replaceAll(",", ",,")}`],
    ...["-device", "vhost-user-vsock-pci,chardev=vsock"],
  ];
}
