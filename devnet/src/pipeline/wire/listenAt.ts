import { parseHostPort } from "../../hostPort.ts";
import type { ListenOptions } from "../../listen.ts";

/**
 * Where to listen.
 * @param addr `host:port`, which the configuration has checked
 * @param key the configuration's, for an error's advice
 */
export function listenAt(addr: string, key: string): ListenOptions {
  return { ...parseHostPort(addr)!, flag: key };
}
