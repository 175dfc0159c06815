import { resolve } from "node:path";
import { EXPLORER_PORT } from "../../operator/composeFile.ts";
import { startDockerNetwork, stopDockerNetwork } from "../../operator/dockerNetwork.ts";
import { okEnvelope, printEnvelope } from "../terminal/envelope.ts";
import type { Output } from "../terminal/report.ts";
import { untilSignal } from "../terminal/untilSignal.ts";
import { type ComposeArgs, composeOptionsOf } from "./composeOptions.ts";

export interface UpDockerArgs extends ComposeArgs {
  readonly "state-dir": string;
  readonly fresh: boolean;
  readonly detach: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Beside the folder of a devnet without containers: both may be there. */
const dockerFolder = (stateDir: string) => `${resolve(stateDir)}-docker`;

/** `up --docker`. */
export async function upDocker(args: UpDockerArgs, onProgress: (message: string) => void): Promise<void> {
  const folder = dockerFolder(args["state-dir"]);
  const stop = new AbortController();
  const stopped = untilSignal().then((signal) => stop.abort(new Error(`stopped by ${signal}`)));
  const { signal } = stop;
  const { fresh } = args;
  const network = await startDockerNetwork(folder, composeOptionsOf(args), { fresh, signal, onProgress });
  const explorerUrl = `http://127.0.0.1:${EXPLORER_PORT}`;
  if (args.json) printEnvelope(okEnvelope("up", { ...network, explorerUrl }));
  else if (!args.quiet) {
    const nodes = network.rpcUrls.map((url, index) => `node${index}     ${url}`);
    process.stdout.write(
      `${[...nodes, `explorer  ${explorerUrl}`, `compose   ${network.composeFile}`].join("\n")}\n`,
    );
  }
  if (args.detach) return;
  await stopped;
  onProgress("stopping containers");
  await stopDockerNetwork(folder, { fresh: false });
}

/** `down --docker`. */
export async function downDocker(args: { readonly "state-dir": string }): Promise<Output> {
  await stopDockerNetwork(dockerFolder(args["state-dir"]), { fresh: false });
  return { lines: ["stopped"], data: { stopped: true } };
}
