import { createServer } from "node:net";

/** The ports of a node by default, as the existing network has them. */
export const DEFAULT_PORTS = { rpc: 9944, http: 9995, p2p: 9999 } as const;

/** Whether a port of this machine can be listened on now. */
export async function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

/** The preferred port if it is free, else 0: the system then gives any. */
export async function preferredPort(port: number): Promise<number> {
  return (await isPortFree(port)) ? port : 0;
}
