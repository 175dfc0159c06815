import { isIP } from "node:net";

/** Whether a name or address can only mean this machine. */
export function isLoopback(host: string): boolean {
  const name = host.toLowerCase().replace(/^\[|\]$/g, "");
  return (
    name === "localhost" || name.endsWith(".localhost") || name === "::1" || /^127\.\d+\.\d+\.\d+$/.test(name)
  );
}

/**
 * Whether a Host header names this node. A page of a foreign web site may have its own name resolve to this machine (DNS
 * rebinding) and would then count as the same origin; but the browser sends the name. An address can't be rebound.
 */
export function isOwnHost(header: string | undefined, allowed: readonly string[]): boolean {
  const host = hostOf(`http://${header ?? ""}`);
  if (host === null) return false;
  return isLoopback(host) || isIP(host.replace(/^\[|\]$/g, "")) !== 0 || allowed.includes(host);
}

/** Whether pages of this origin may use the node: those of this machine, those of the list, and the node's own. */
export function isAllowedOrigin(
  origin: string,
  hostHeader: string | undefined,
  allowed: readonly string[],
): boolean {
  const host = hostOf(origin);
  if (host === null) return false;
  return isLoopback(host) || allowed.includes(origin) || origin === `http://${hostHeader}`;
}

function hostOf(url: string): string | null {
  return /^https?:\/\/[^/@?#\s]+$/.test(url) && URL.canParse(url) ? new URL(url).hostname : null;
}
