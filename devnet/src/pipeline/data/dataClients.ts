import type { Interceptor } from "@grpc/grpc-js";
import { createDataClient, type DataClient } from "./dataClient.ts";

/** The stages' data services that a node uses, one connection each. */
export interface DataClients extends AsyncDisposable {
  of(addr: string): DataClient;
}

export function createDataClients(
  deps: Omit<Parameters<typeof createDataClient>[0], "interceptors"> & {
    readonly interceptorsOf: (addr: string) => Interceptor[];
  },
): DataClients {
  const clients = new Map<string, DataClient>();
  return {
    of(addr) {
      const client =
        clients.get(addr) ?? createDataClient({ ...deps, interceptors: deps.interceptorsOf(addr) }, addr);
      clients.set(addr, client);
      return client;
    },
    async [Symbol.asyncDispose]() {
      for (const client of clients.values()) client.close();
    },
  };
}
