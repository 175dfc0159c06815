/** What a node tells the process that started it, once it is ready. */
export interface NodeReady {
  readonly type: "ready";
  readonly rpcUrl: string;
  readonly httpUrl: string;
  readonly p2pAddress: string;
  readonly publicKey: string;
  readonly vsock: string | null;
}
