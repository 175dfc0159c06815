import type { DevnetState } from "../../up/stateFile.ts";

/** What a person reads when the devnet is ready. */
export function summary(
  data: DevnetState["data"],
  warnings: readonly string[],
  startMs: number | null,
): string {
  const lines = warnings.map((warning) => `note: ${warning}`);
  for (const node of data.nodes) {
    lines.push(
      "",
      `${node.name}${node.pid === null ? " (stopped)" : ""}`,
      `  JSON-RPC   ${node.rpcUrl}`,
      `  files      ${node.httpUrl}`,
      `  peers      ${node.p2pAddress}`,
      `  database   ${node.databaseUrl}`,
      `  public key ${node.publicKey}`,
      ...(node.vsock === null ? [] : [`  VSOCK      ${node.vsock}`]),
    );
  }
  lines.push("", "developer accounts (everyone has these keys: never use them elsewhere)");
  for (const [index, account] of data.accounts.entries()) {
    lines.push(`  ${index}  secret ${account.secretKey}`, `     public ${account.publicKey}`);
  }
  if (data.explorerUrl !== null) lines.push("", `explorer   ${data.explorerUrl}`);
  const took = startMs === null ? "" : ` in ${(startMs / 1_000).toFixed(1)} s`;
  lines.push("", `ready${took}: ${data.nodes[0]?.rpcUrl}`);
  return lines.join("\n");
}
