/**
 * VSOCK sockets, which Node.js has no functions for: the C library's own, called by koffi. The numbers are Linux's and
 * the same on all its architectures.
 */
export interface VsockLibc {
  /** @returns a connected socket's descriptor. Blocks for 2 s at most, by the kernel's own limit. */
  connect(cid: number, port: number): number;
  /** @returns a listening socket's descriptor. */
  listen(cid: number, port: number, backlog: number): number;
  /** The other end's context: which virtual machine it is. */
  peerCid(fd: number): number;
  close(fd: number): void;
}

/** As much of koffi as is used. */
export interface Koffi {
  load(path: string | null): { func(declaration: string): (...args: unknown[]) => number };
  errno(): number;
  readonly os: { readonly errno: Readonly<Record<string, number>> };
}

/** Any context of this machine. */
export const CID_ANY = 0xffff_ffff;
/** The machine itself, through the kernel's loopback. */
export const CID_LOCAL = 1;
export const CID_HOST = 2;
export const TASK_PORT = 8080;

const AF_VSOCK = 40;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const ADDRESS_BYTES = 16;
const PORT_OFFSET = 4;
const CID_OFFSET = 8;

export function createVsockLibc(koffi: Koffi): VsockLibc {
  const libc = koffi.load(null);
  const socket = libc.func("int socket(int domain, int type, int protocol)");
  const connect = libc.func("int connect(int fd, const uint8_t *address, uint32_t bytes)");
  const bind = libc.func("int bind(int fd, const uint8_t *address, uint32_t bytes)");
  const listen = libc.func("int listen(int fd, int backlog)");
  const getpeername = libc.func("int getpeername(int fd, _Out_ uint8_t *address, _Inout_ uint32_t *bytes)");
  const close = libc.func("int close(int fd)");

  const check = (what: string, result: number): number => {
    if (result >= 0) return result;
    const number = koffi.errno();
    const name = Object.entries(koffi.os.errno).find(([, each]) => each === number)?.[0] ?? `error ${number}`;
    throw Object.assign(new Error(`${what}: ${name}`), { code: name });
  };
  const open = (use: (fd: number) => void): number => {
    const fd = check("socket(AF_VSOCK)", socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0));
    try {
      use(fd);
      return fd;
    } catch (error) {
      close(fd);
      throw error;
    }
  };
  return {
    connect: (cid, port) =>
      open((fd) =>
        check(`connect to VSOCK ${cid}:${port}`, connect(fd, addressOf(cid, port), ADDRESS_BYTES)),
      ),
    listen: (cid, port, backlog) =>
      open((fd) => {
        check(`bind to VSOCK port ${port}`, bind(fd, addressOf(cid, port), ADDRESS_BYTES));
        check(`listen on VSOCK port ${port}`, listen(fd, backlog));
      }),
    peerCid(fd) {
      const address = Buffer.alloc(ADDRESS_BYTES);
      check("getpeername", getpeername(fd, address, [ADDRESS_BYTES]));
      return address.readUInt32LE(CID_OFFSET);
    },
    close: (fd) => void close(fd),
  };
}

/** struct sockaddr_vm */
function addressOf(cid: number, port: number): Buffer {
  const address = Buffer.alloc(ADDRESS_BYTES);
  address.writeUInt16LE(AF_VSOCK, 0);
  address.writeUInt32LE(port, PORT_OFFSET);
  address.writeUInt32LE(cid, CID_OFFSET);
  return address;
}
