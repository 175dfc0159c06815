/** What a node is told last, once it is known: until then it loads its programs. */
export interface NodeGo {
  readonly type: "go";
  readonly dbUrl: string;
  readonly p2pDiscoveryAddrs: string;
}

/** Says to a node that the rest comes from the process that started it. */
export const WAIT_FLAG = "wait-for-parent";

/** What a node tells the process that started it, once it is ready. */
export interface NodeReady {
  readonly type: "ready";
  readonly rpcUrl: string;
  readonly httpUrl: string;
  readonly p2pAddress: string;
  readonly publicKey: string;
  readonly vsock: string | null;
}
