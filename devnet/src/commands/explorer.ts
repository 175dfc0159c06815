import { GevulotError } from "gevulot-sdk";
import type { Argv, CommandModule } from "yargs";
import { createExplorer } from "../explorer/explorerServer.ts";
import { parseHostPort } from "../hostPort.ts";
import { errorEnvelope, okEnvelope, printEnvelope } from "./terminal/envelope.ts";
import { EXIT_FAILURE, errorText } from "./terminal/reportError.ts";
import { untilSignal } from "./terminal/untilSignal.ts";
import { checkNodeChoice, chooseNodes, type NodeChoice, nodeChoice } from "./up/chosenNodes.ts";

type ExplorerArgs = NodeChoice & {
  readonly listen: string;
  readonly "allowed-hosts"?: readonly string[] | undefined;
};

const DEFAULT_LISTEN = "127.0.0.1:0";

export const explorerCommand: CommandModule<object, ExplorerArgs> = {
  command: "explorer",
  describe: "Serve the explorer, a page that shows nodes, runs and programs live; `up` has one already",
  builder: (yargs: Argv) =>
    yargs
      .options({
        ...nodeChoice,
        listen: {
          type: "string",
          default: DEFAULT_LISTEN,
          requiresArg: true,
          describe:
            "host:port to serve it at; port 0 is any. It shows all that the nodes know, and only reads",
        },
        "allowed-hosts": {
          type: "array",
          string: true,
          requiresArg: true,
          describe: "Names besides addresses and localhost by which browsers call it",
        },
      })
      .check((args) => {
        if (parseHostPort(args.listen) === null) return "--listen wants host:port, such as 0.0.0.0:9940.";
        return checkNodeChoice(args);
      })
      .example(
        "$0 explorer --node http://10.0.0.7:9944 --listen 127.0.0.1:9940",
        "of a node elsewhere",
      ) as Argv<ExplorerArgs>,
  handler: async (args) => {
    try {
      await serve(args);
    } catch (error) {
      if (args.json) printEnvelope(errorEnvelope("explorer", error));
      else process.stderr.write(`${errorText(error)}\n`);
      process.exitCode = EXIT_FAILURE;
    }
  },
};

async function serve(args: ExplorerArgs): Promise<void> {
  const stopped = untilSignal();
  const { nodes, warnings } = await chooseNodes(args);
  if (nodes.length === 0) {
    const message = "All nodes of the devnet are stopped. Start one with: gevulot-devnet node start 0";
    throw new GevulotError("NODES_UNREACHABLE", message, { context: { urls: [] } });
  }
  const shown = nodes.map(({ name, url, token }) => ({ name, rpcUrl: url, token }));
  const address = parseHostPort(args.listen) ?? { host: "127.0.0.1", port: 0 };
  const allowedHosts = args["allowed-hosts"] ?? [];
  await using explorer = await createExplorer(shown, { ...address, allowedHosts, flag: "--listen" });
  if (args.json) printEnvelope(okEnvelope("explorer", { url: explorer.url }, warnings));
  else if (!args.quiet) process.stdout.write(`explorer  ${explorer.url}\n`);
  await stopped;
}
