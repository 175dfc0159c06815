import { basename, dirname } from "node:path";
import type { Argv, CommandModule, InferredOptionTypes, Options } from "yargs";
import { composeFile, composeRpcUrls, DEFAULT_COMPOSE, EXPLORER_PORT } from "../../operator/composeFile.ts";
import { writeOutputFiles } from "../../operator/outputFiles.ts";
import { report } from "../terminal/report.ts";
import { checkComposeNodes, composeOptions, composeOptionsOf } from "../up/composeOptions.ts";

const exportComposeOptions = {
  ...composeOptions,
  out: { type: "string", default: "compose.yaml", requiresArg: true, describe: "File to write" },
  nodes: { type: "number", default: DEFAULT_COMPOSE.nodes, requiresArg: true, describe: "How many nodes" },
  provider: {
    choices: ["qemu", "process"],
    default: DEFAULT_COMPOSE.provider,
    requiresArg: true,
    describe: "What runs tasks: QEMU, or processes of the nodes' containers",
  },
  force: { type: "boolean", default: false, describe: "Replace the file" },
  json: { type: "boolean", default: false, describe: "One line of JSON instead of text" },
} as const satisfies Record<string, Options>;

type Args = InferredOptionTypes<typeof exportComposeOptions>;

export const exportComposeCommand: CommandModule<object, Args> = {
  command: "compose",
  describe: "Write a docker compose file: nodes, PostgreSQL and the explorer, for development on one machine",
  builder: (yargs: Argv) =>
    yargs
      .options(exportComposeOptions)
      .check(checkComposeNodes)
      .example("$0 export compose --out compose.yaml --nodes 3", "") as Argv<Args>,
  handler: (args) =>
    report("export compose", args, async () => {
      const { out, nodes, force } = args;
      const content = composeFile(composeOptionsOf(args));
      await writeOutputFiles(dirname(out), [{ path: basename(out), content }], { force });
      const rpcUrls = composeRpcUrls(nodes);
      const explorer = `http://127.0.0.1:${EXPLORER_PORT}`;
      const next = `Next: docker compose -f ${out} up --detach`;
      const lines = [out, "", next, `nodes     ${rpcUrls.join(" ")}`, `explorer  ${explorer}`];
      return { lines, data: { files: [out], rpcUrls, explorer } };
    }),
};
