/** One call of a stage's HTTP API. */
export interface SignedCall {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  /** Unix time. */
  readonly seconds: number;
  /** SHA-256 of the body, hex; of no body that of no bytes. */
  readonly bodyHash: string;
}

/** What a user signs for each call (EIP-191). */
export function callText({ method, path, seconds, bodyHash }: SignedCall): string {
  return `gevulot-pipeline\n${method} ${path}\n${seconds}\n${bodyHash}`;
}
