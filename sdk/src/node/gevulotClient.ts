import "./errorCodes.ts";
import { CoreClient, type GevulotClientOptions } from "../client/coreClient.ts";
import { nodePlatform } from "./nodePlatform.ts";

/**
 * A client of one node.
 *
 * ```ts
 * import { GevulotClient } from "gevulot-sdk";
 *
 * const client = new GevulotClient({ url: "http://127.0.0.1:9944", keyFile: "localkey.pki" });
 * const { prover, verifier } = await client.deploy({
 *   name: "preimage",
 *   prover: { file: "prover.img" },
 *   verifier: { file: "verifier.img" },
 * });
 * const run = await client.prove({ prover, verifier, verifierInputs: ["/workspace/proof.json"] });
 * const { proofs } = await run.result({ timeoutMs: 60_000 });
 * ```
 */
export class GevulotClient extends CoreClient {
  /** Throws `SECRET_KEY_INVALID` or `HEX_INVALID` for a wrong `key`. */
  constructor(options: GevulotClientOptions = {}) {
    super(options, nodePlatform);
  }
}
