import { checkHttpUrl, checkMs } from "../context/checkOptions.ts";
import { createSigner, type SecretKeySource } from "../context/signer.ts";
import { createStageClient, type PipelineClient } from "./pipelineClient.ts";

export interface PipelineClientOptions {
  /** The stage's `api_addr`, e.g. `http://127.0.0.1:50020`. */
  readonly url: string;
  /** An Ethereum secret key of a user of the stage. */
  readonly key: SecretKeySource;
  /** How long the stage may be silent in a call; default 60,000. Data that is sent adds a second for each 128 kB. */
  readonly timeoutMs?: number;
  readonly fetch?: typeof globalThis.fetch;
}

/** Throws `OPTION_INVALID`, `SECRET_KEY_INVALID`. */
export function createPipelineClient(options: PipelineClientOptions): PipelineClient {
  const { url, timeoutMs, fetch = globalThis.fetch } = options;
  checkHttpUrl("url", url);
  checkMs({ timeoutMs });
  const signer = createSigner(options.key);
  return createStageClient({ url, getSigner: async () => signer, timeoutMs, fetch });
}
