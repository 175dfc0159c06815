import { browserPlatform } from "../context/browserPlatform.ts";
import { CoreClient, type GevulotClientOptions } from "./coreClient.ts";

/** A client of one node, in a browser: as on Node.js, but without key files and local files. */
export class GevulotClient extends CoreClient {
  /** Throws `SECRET_KEY_INVALID` or `HEX_INVALID` for a wrong `key`, and `NEEDS_NODE` for a key file. */
  constructor(options: GevulotClientOptions = {}) {
    super(options, browserPlatform);
  }
}
