import { homedir } from "node:os";
import type { Argv, CommandModule } from "yargs";
import { type KnownDevnet, listDevnets } from "../../up/registry.ts";
import { type ReportOptions, report } from "../terminal/report.ts";
import { registryDir } from "./registryDir.ts";

export const lsCommand: CommandModule<object, ReportOptions> = {
  command: "ls",
  describe: "List the devnets of this machine that you started, running or not",
  builder: (yargs: Argv) =>
    yargs
      .option("json", { type: "boolean", default: false, describe: "One line of JSON instead of text" })
      .example("$0 ls", ""),
  handler: (args) =>
    report("ls", args, async () => {
      const devnets = await listDevnets(registryDir(process.env, homedir()));
      return { lines: table(devnets), data: devnets.map(described) };
    }),
};

function described({ id, stateDir, lastUpAt, running }: KnownDevnet) {
  return {
    ...{ id, stateDir, lastUpAt, state: running ? "running" : "stopped" },
    pid: running?.pid ?? null,
    nodes: running?.data.nodes.length ?? null,
    rpcUrl: running?.data.nodes[0]?.rpcUrl ?? null,
  };
}

function table(devnets: readonly KnownDevnet[]): string[] {
  if (devnets.length === 0) return ["no devnets. Start one with: gevulot-devnet up"];
  const rows = devnets.map((devnet) => {
    const { state, nodes, rpcUrl, stateDir } = described(devnet);
    return [state, nodes === null ? "" : String(nodes), rpcUrl ?? "", stateDir];
  });
  const all = [["STATE", "NODES", "JSON-RPC", "FOLDER"], ...rows];
  const widths = [0, 1, 2].map((column) => Math.max(...all.map((row) => row[column]!.length)));
  return all.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
