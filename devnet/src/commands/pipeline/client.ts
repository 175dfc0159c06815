import { readKeyFile } from "gevulot-sdk/node";
import { createPipelineClient, type PipelineClient } from "gevulot-sdk/pipeline";
import type { Argv } from "yargs";
import { type Output, report } from "../terminal/report.ts";

/** Of the commands that call a stage as one of its users. */
export interface ClientArguments {
  url: string;
  keyfile: string;
  json: boolean;
}

export function clientOptions<T>(yargs: Argv<T>) {
  return yargs
    .option("url", {
      alias: "u",
      type: "string",
      default: "http://127.0.0.1:50020",
      requiresArg: true,
      describe: "The stage's api_addr",
    })
    .option("keyfile", {
      alias: "k",
      type: "string",
      default: "localkey.pki",
      requiresArg: true,
      describe: "Secret key of an Ethereum account, 32 raw bytes",
    })
    .option("json", { type: "boolean", default: false, describe: "One line of JSON" });
}

export function withClient(
  command: string,
  { url, keyfile, json }: ClientArguments,
  work: (client: PipelineClient) => Promise<Output>,
): Promise<void> {
  return report(`pipeline ${command}`, { json }, async () =>
    work(createPipelineClient({ url, key: await readKeyFile(keyfile) })),
  );
}

export interface RunArguments extends ClientArguments {
  run: string;
}

export function runOptions<T>(yargs: Argv<T>) {
  return clientOptions(yargs).positional("run", {
    type: "string",
    demandOption: true,
    describe: "The run's proof_id",
  });
}
