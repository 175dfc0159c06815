import type { Logger } from "pino";
import type { PipelineConfig } from "../config.ts";

type Config = Pick<PipelineConfig, "accept_nodes" | "ca_cert_path" | "node_token" | "addr">;

/** Of hosts: only this machine's programs reach it. */
const LOOPBACK = /^(?:127\.|localhost:|\[::1\])/;

/** Says what strangers can do at a stage that asks its nodes for nothing. */
export function warnIfOpen(log: Pick<Logger, "warn">, config: Config): void {
  const { accept_nodes: accepts, ca_cert_path: ca, node_token: token, addr } = config;
  if ((ca ?? token) !== undefined || LOOPBACK.test(addr)) return;
  log.warn(
    accepts
      ? "whoever reaches addr can register as a prover node, and gets ELFs and inputs: give node_token or ca_cert_path"
      : "whoever reaches addr can read data by its SHA-256, and send data: give node_token or ca_cert_path",
  );
}
