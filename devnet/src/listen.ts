import type { Server as HttpServer } from "node:http";
import type { Server } from "node:net";
import { GevulotError } from "gevulot-sdk";
import { portOwner } from "./portOwner.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PORT_TAKEN: { host: string; port: number; flag: string };
    CANNOT_LISTEN: { host: string; port: number; flag: string };
  }
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** The option that sets this address, for the error's advice. */
  readonly flag: string;
}

/** Starts a server's listener, or says which port is taken and which option changes it. */
export async function listen(server: Server, options: ListenOptions): Promise<void> {
  const { host, port, flag } = options;
  try {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, host, () => {
        server.removeAllListeners("error");
        resolve();
      });
    });
  } catch (error) {
    const taken = (error as NodeJS.ErrnoException).code === "EADDRINUSE";
    throw new GevulotError(
      taken ? "PORT_TAKEN" : "CANNOT_LISTEN",
      taken
        ? `${host}:${port} is in use by ${await portOwner(port)}. Stop that program, or give another port with ${flag}.`
        : `Can't listen on ${host}:${port} (${(error as Error).message}). Give another address with ${flag}.`,
      { context: { host, port, flag }, cause: error },
    );
  }
}

/** Stops listening and drops the connections that are open. */
export async function closeServer(server: HttpServer): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeAllConnections();
  await closed;
}
