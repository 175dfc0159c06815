import { parseHostPort } from "../../hostPort.ts";

const WILDCARDS: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** All addresses of a machine: one listens at them, but nobody elsewhere can dial them. */
export function isWildcard(addr: string): boolean {
  return WILDCARDS.has(parseHostPort(addr)?.host ?? "");
}
