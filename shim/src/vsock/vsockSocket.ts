import { Socket } from "node:net";

/** A stream handle of Node.js, as `net` takes it. */
export interface StreamHandle {
  /** 0, or an error number of libuv. */
  open(fd: number): number;
}

interface Bindings {
  binding(name: "pipe_wrap"): { Pipe: new (kind: number) => StreamHandle; constants: { SOCKET: number } };
}

/**
 * A connected VSOCK descriptor as a socket. `net.Socket` itself refuses descriptors of a family that it does not know;
 * the handle of a pipe takes any stream.
 */
export function socketOf(fd: number): Socket {
  const { Pipe, constants } = (process as unknown as Bindings).binding("pipe_wrap");
  const handle = new Pipe(constants.SOCKET);
  const status = handle.open(fd);
  if (status !== 0) throw new Error(`the VSOCK descriptor ${fd} can't be used (libuv error ${status})`);
  return new Socket({ handle, readable: true, writable: true } as object);
}
