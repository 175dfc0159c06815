import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { CID_ANY, type VsockLibc } from "gevulot-shim/wire";

export interface VsockListener extends AsyncDisposable {
  readonly port: number;
}

interface Bindings {
  binding(name: "tcp_wrap"): {
    TCP: new (kind: number) => { open(fd: number): number; close(): void };
    constants: { SERVER: number };
  };
}

const BACKLOG = 64;

/**
 * Listens on AF_VSOCK; `onConnection` gets with each connection the context it comes from: which VM it is. Node.js
 * itself does not listen on a descriptor of that family, but the handle of a TCP server takes it.
 */
export async function createVsockListener(
  libc: VsockLibc,
  port: number,
  onConnection: (connection: Duplex, cid: number) => void,
): Promise<VsockListener> {
  const fd = libc.listen(CID_ANY, port, BACKLOG);
  const { TCP, constants } = (process as unknown as Bindings).binding("tcp_wrap");
  const handle = new TCP(constants.SERVER);
  const status = handle.open(fd);
  if (status !== 0) {
    libc.close(fd);
    throw new Error(`the VSOCK descriptor can't be listened on (libuv error ${status})`);
  }
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => {});
    const cid = cidOf(libc, socket);
    if (cid === null) socket.destroy();
    else onConnection(socket, cid);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(handle, resolve);
  });
  return {
    port,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        for (const socket of open) socket.destroy();
      }),
  };
}

/** Null for one that has gone again. */
function cidOf(libc: VsockLibc, socket: Socket): number | null {
  const { _handle: handle } = socket as unknown as { _handle: { fd: number } | null };
  try {
    return handle === null ? null : libc.peerCid(handle.fd);
  } catch {
    return null;
  }
}
