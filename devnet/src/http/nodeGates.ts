import { readAccessToken } from "./accessToken.ts";
import { createGate, type Gate } from "./gate.ts";
import { isLoopback } from "./origins.ts";

export interface NodeGates {
  readonly rpc: Gate;
  readonly files: Gate;
  /** Whether uploads are taken: where others reach the files, only with a token. */
  readonly takesUploads: boolean;
}

export interface NodeGatesOptions {
  readonly jsonRpcListenAddr: { readonly host: string };
  /** The files are served on this host. */
  readonly p2pListenAddr: { readonly host: string };
  readonly p2pAdvertisedListenAddr?: { readonly host: string } | undefined;
  readonly corsOrigins: readonly string[];
  readonly allowedHosts: readonly string[];
  readonly accessTokenFile?: string | undefined;
  readonly allowOpenRpc: boolean;
  readonly rpcRateLimit?: number | undefined;
}

const CALLS_PER_SECOND_BEYOND = 100;

/** The doors of a node's two servers. Throws what {@link readAccessToken} does. */
export async function createNodeGates(options: NodeGatesOptions): Promise<NodeGates> {
  const { corsOrigins, rpcRateLimit } = options;
  const rpcHost = options.jsonRpcListenAddr.host;
  const filesHost = options.p2pListenAddr.host;
  const advertisedHost = options.p2pAdvertisedListenAddr?.host;
  const token = await readAccessToken({
    host: rpcHost,
    tokenFile: options.accessTokenFile,
    allowOpenRpc: options.allowOpenRpc,
  });
  const names = [rpcHost, filesHost, ...(advertisedHost ? [advertisedHost] : [])];
  const allowedHosts = [...options.allowedHosts, ...names.map((name) => name.toLowerCase())];
  const perSecond = rpcRateLimit ?? (isLoopback(rpcHost) ? 0 : CALLS_PER_SECOND_BEYOND);
  return {
    rpc: createGate({
      corsOrigins,
      // A page that has this node under its own name has no token.
      allowedHosts: token === null ? allowedHosts : null,
      token,
      callsPerSecond: perSecond === 0 ? null : perSecond,
    }),
    files: createGate({
      corsOrigins,
      // Where others reach them, files are everybody's, under whatever name.
      allowedHosts: isLoopback(filesHost) ? allowedHosts : null,
      token,
      callsPerSecond: null,
    }),
    takesUploads: token !== null || isLoopback(filesHost),
  };
}
