import type { Argv, CommandModule } from "yargs";
import { createLogger } from "../../observe/logger.ts";
import { NODE_OPTIONS, parseNodeOptions } from "../../options.ts";
import { serveOrders } from "../../up/nodeOrders.ts";
import { type NodeGo, type NodeReady, WAIT_FLAG } from "../../up/nodeReady.ts";
import { createSuspendableNode } from "../../up/suspendableNode.ts";
import { reportErrors } from "../terminal/reportError.ts";
import { untilSignal } from "../terminal/untilSignal.ts";

export const nodeRunCommand: CommandModule = {
  command: "run",
  describe: "Run the node until it gets SIGINT or SIGTERM",
  builder: (yargs: Argv) => {
    for (const { flag, variable, type, default: fallback, describe } of NODE_OPTIONS) {
      // No default for yargs: the environment comes before it.
      const shown = fallback === undefined ? "" : `, default ${fallback}`;
      yargs.option(flag, {
        type,
        describe: `${describe} [${variable}${shown}]`,
        requiresArg: type !== "boolean",
      });
    }
    yargs.option(WAIT_FLAG, { type: "boolean", default: false, hidden: true });
    return yargs.example("$0 run --db-url postgres://me:pw@localhost/gevulot --node-key-file node.key", "");
  },
  // Not waited for by yargs, which would make up its help first.
  handler: (argv) =>
    void reportErrors(async () => {
      const late = argv[WAIT_FLAG] && process.send ? await untilGo() : {};
      const options = parseNodeOptions({ ...argv, ...late }, process.env);
      const log = createLogger(options.logLevel);
      const stop = untilSignal();
      // A devnet that started this node and is gone leaves nobody to serve.
      const orphaned = new Promise<string>((resolve) =>
        process.once("disconnect", () => resolve("its parent ended")),
      );
      const running = await createSuspendableNode({ log }, options);
      serveOrders(async (order) => {
        if (order.kind === "faults") running.faults.set(order.faults);
        else await running[order.kind]();
      });
      const { node } = running;
      const { rpcUrl, httpUrl, p2pAddress, publicKey } = node;
      const vsock = node.vsock && `${node.vsock.kind} (${node.vsock.detail})`;
      log.info({ rpcUrl, httpUrl, publicKey, execution: !options.noExecution }, "the node is ready");
      process.send?.({ type: "ready", rpcUrl, httpUrl, p2pAddress, publicKey, vsock } satisfies NodeReady);
      log.info({ reason: await Promise.race([stop, orphaned]) }, "the node stops");
      await running[Symbol.asyncDispose]();
      // A download that nobody waits for any more must not keep the process.
      process.exit();
    }).finally(() => {
      // The channel to a parent would keep a node that did not start.
      if (process.connected) process.disconnect();
    }),
};

/** What the process that started this one knows only now. */
async function untilGo(): Promise<Omit<NodeGo, "type">> {
  const { dbUrl, p2pDiscoveryAddrs } = await new Promise<NodeGo>((resolve, reject) => {
    process.once("message", (message: NodeGo) => resolve(message));
    process.once("disconnect", () => reject(new Error("the devnet that started this node ended")));
  });
  return { dbUrl, p2pDiscoveryAddrs };
}
