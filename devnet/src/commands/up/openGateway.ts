import { parseHostPort } from "../../hostPort.ts";
import { createGateway, type GatewayTarget } from "../../up/gateway.ts";

export interface GatewayArgs {
  readonly gateway?: string | undefined;
  readonly "gateway-token-file"?: string | undefined;
  readonly "allow-open-gateway"?: boolean | undefined;
}

/** What `up --gateway` asks for; null where it does not. */
export async function openGateway(
  { nodes }: { readonly nodes: readonly GatewayTarget[] },
  args: GatewayArgs,
): Promise<AsyncDisposable | null> {
  const address = args.gateway === undefined ? null : parseHostPort(args.gateway);
  if (address === null) return null;
  const { "gateway-token-file": tokenFile, "allow-open-gateway": allowOpen = false } = args;
  return createGateway(nodes, { ...address, tokenFile, allowOpen });
}
