import type { Argv, CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { NODE_OPTIONS, type NodeOptions, parseNodeOptions } from "../../options.ts";
import { createPeerNetwork } from "../../p2p/createPeerNetwork.ts";
import { reportErrors } from "../terminal/reportError.ts";
import { untilSignal } from "../terminal/untilSignal.ts";

/** Options of `run` that a beacon has, too. */
const FLAGS = [
  "p2p-listen-addr",
  "p2p-advertised-listen-addr",
  "p2p-discovery-addrs",
  "p2p-psk-passphrase",
  "log-level",
];

type BeaconOptions = NodeOptions & {
  readonly p2pDiscoveryAddrs?: readonly string[];
  readonly p2pPskPassphrase?: string | undefined;
};

export const beaconCommand: CommandModule = {
  command: "p2p-beacon",
  describe:
    "Help nodes to find each other, until it gets SIGINT or SIGTERM: without a database, a key or tasks",
  builder: (yargs: Argv) => {
    for (const { flag, variable, type, default: fallback, describe } of NODE_OPTIONS) {
      if (!FLAGS.includes(flag)) continue;
      const shown = fallback === undefined ? "" : `, default ${fallback}`;
      yargs.option(flag, { type, describe: `${describe} [${variable}${shown}]`, requiresArg: true });
    }
    return yargs.example("$0 p2p-beacon --p2p-listen-addr 0.0.0.0:9999", "");
  },
  handler: (argv) =>
    reportErrors(async () => {
      const options: BeaconOptions = parseNodeOptions(argv, process.env);
      const log = createLogger(options.logLevel);
      const stop = untilSignal();
      const nothing = { memMib: 0, cpus: 0, gpus: 0 };
      await using network = await createPeerNetwork(
        {
          log,
          secretKey: null,
          resources: () => nothing,
          metrics: async () =>
            `# TYPE p2p_connected_peers gauge\np2p_connected_peers ${network.peers().length}\n`,
          receive: async () => "refused",
          receiveReport: async () => false,
          stores: null,
        },
        {
          listen: options.p2pListenAddr,
          advertised: options.p2pAdvertisedListenAddr,
          discovery: options.p2pDiscoveryAddrs ?? [],
          passphrase: options.p2pPskPassphrase,
        },
      );
      log.info({ address: network.address }, "the beacon is ready");
      log.info({ reason: await stop }, "the beacon stops");
    }),
};
