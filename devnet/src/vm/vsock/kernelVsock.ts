import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { createVsockLibc, type Koffi } from "gevulot-shim/wire";
import { createStack } from "../../disposeStack.ts";
import type { TaskServer } from "./taskServer.ts";
import type { VsockDevice, VsockHost, VsockOpenOptions } from "./vsockHost.ts";
import { createVsockListener } from "./vsockListener.ts";

export interface KernelVsockOptions {
  readonly koffi: Koffi;
  /** One for all VMs of the node; the protocol's is 8080. */
  readonly port: number;
  readonly devicePath?: string;
}

/** The existing node begins there too; what is below has a meaning of its own. */
const FIRST_CID = 4;
const LAST_CID = 65_535;
const DEVICE = "/dev/vhost-vsock";
/** _IOW(0xaf, 0x60, u64) */
const SET_GUEST_CID = 0x4008_af60;

/**
 * VSOCK by the kernel's own device: one listener for all VMs, which are told apart by the context that a connection
 * comes from.
 *
 * @throws Error where the device can't be used, or the port is taken
 */
export async function createKernelVsock(options: KernelVsockOptions): Promise<VsockHost> {
  const { koffi, port, devicePath = DEVICE } = options;
  const ioctl = koffi.load(null).func("int ioctl(int fd, unsigned long request, const uint8_t *value)");
  const claim = (fd: number, cid: number): boolean => {
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(BigInt(cid));
    if (ioctl(fd, SET_GUEST_CID, value) === 0) return true;
    const error = koffi.errno();
    if (error === koffi.os.errno.EADDRINUSE) return false;
    throw new Error(`${devicePath} does not take the number ${cid} (error ${error})`);
  };
  await using stack = createStack();
  const servers = new Map<number, TaskServer>();
  const device = await open(devicePath, constants.O_RDWR);
  await device.close();
  stack.use(
    await createVsockListener(createVsockLibc(koffi), port, (connection, cid) => {
      const server = servers.get(cid);
      if (server) server.accept(connection);
      // Not one of this node's VMs.
      else connection.destroy();
    }),
  );
  const running = stack.move();
  return {
    kind: "vhost-vsock",
    detail: `port ${port}`,
    async open({ server }: VsockOpenOptions): Promise<VsockDevice> {
      const handle = await open(devicePath, constants.O_RDWR);
      try {
        // The kernel gives a number once on this machine, however many nodes ask, and takes it back with the descriptor.
        const cid = nextCid((each) => claim(handle.fd, each), servers);
        servers.set(cid, server);
        return {
          device: { kind: "vhost", cid, fd: handle.fd },
          async [Symbol.asyncDispose]() {
            servers.delete(cid);
            await handle.close();
          },
        };
      } catch (error) {
        await handle.close();
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => running[Symbol.asyncDispose](),
  };
}

/** The first number that is free here and that `claim` gets. */
export function nextCid(claim: (cid: number) => boolean, taken: ReadonlyMap<number, unknown>): number {
  for (let cid = FIRST_CID; cid <= LAST_CID; cid++) if (!taken.has(cid) && claim(cid)) return cid;
  throw new Error("all VSOCK numbers of this machine are in use");
}
