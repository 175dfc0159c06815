import type { Server, ServerCredentials } from "@grpc/grpc-js";
import { GevulotError } from "gevulot-sdk";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    PIPELINE_LISTEN: { addr: string };
  }
}

/** Starts to listen. Throws `PIPELINE_LISTEN`. */
export async function bindServer(
  server: Server,
  addr: string,
  credentials: ServerCredentials,
): Promise<number> {
  return new Promise<number>((resolve, reject) => {
    server.bindAsync(addr, credentials, (cause, port) => {
      if (!cause) return resolve(port);
      reject(
        new GevulotError(
          "PIPELINE_LISTEN",
          `Can't listen on ${addr}: the port is taken, or the address is not this machine's. Give another addr in the configuration.`,
          { context: { addr }, cause },
        ),
      );
    });
  });
}
