import { lookup } from "node:dns/promises";
import { GevulotError } from "gevulot-sdk";
import { parseHostPort } from "../../hostPort.ts";
import { normalHost, type SocketAddress } from "../wire/socketAddress.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    P2P_ADDRESS_INVALID: { address: string };
  }
}

/** What this node tells others as its address: numbers, as the protocol has no names there. */
export async function ownAddress(
  listen: { readonly host: string; readonly port: number },
  advertised: { readonly host: string; readonly port?: number } | undefined,
): Promise<SocketAddress> {
  const name = advertised?.host ?? listen.host;
  const port = advertised?.port || listen.port;
  const found =
    normalHost(name) ??
    (await lookup(name).then(
      ({ address }) => normalHost(address),
      () => null,
    ));
  if (found !== null) return { host: found, port };
  throw new GevulotError(
    "P2P_ADDRESS_INVALID",
    `The name "${name}" of this node's P2P address can't be looked up. Give an address by numbers.`,
    { context: { address: name } },
  );
}

/** Throws `P2P_ADDRESS_INVALID` for what can't be dialled. */
export function checkDiscovery(addresses: readonly string[]): readonly string[] {
  for (const address of addresses) {
    if (parseHostPort(address)?.port) continue;
    throw new GevulotError(
      "P2P_ADDRESS_INVALID",
      `"${address}" is no address of a node. Write host:port, or [address]:port for IPv6.`,
      { context: { address } },
    );
  }
  return addresses;
}
