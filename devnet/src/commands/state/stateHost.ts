import { basename, join, resolve } from "node:path";
import { placeNodes } from "../../state/loadState.ts";
import type { StateHost } from "../../state/stateHost.ts";
import { orderLoad } from "../../up/control.ts";
import { type DevnetState, readState } from "../../up/stateFile.ts";
import { openStoppedState } from "../../up/stoppedState.ts";
import { createProgress, isFancy } from "../terminal/terminal.ts";

export interface StateArgs {
  readonly "state-dir": string;
  readonly json: boolean;
  readonly quiet: boolean;
}

/** The devnet of a folder, whether it runs or not. */
export async function withStateHost<T>(
  args: StateArgs,
  options: { readonly create: boolean },
  work: (host: StateHost) => Promise<T>,
): Promise<T> {
  const stateDir = resolve(args["state-dir"]);
  const running = await readState(stateDir);
  if (running) return work(runningHost(running));
  const progress = createProgress(process.stderr, {
    fancy: isFancy(process.stderr, process.env),
    quiet: args.quiet || args.json,
  });
  try {
    await using host = await openStoppedState(stateDir, { ...options, onProgress: progress.say });
    return await work(host);
  } finally {
    progress.clear();
  }
}

/** Saved from here; what is loaded is taken by the process that runs it, as its nodes must stop for a moment. */
function runningHost({ data, control }: DevnetState): StateHost {
  const { stateDir } = data;
  const nodes = data.nodes.map(({ name, databaseUrl }) => {
    return { name, databaseUrl, dataDir: join(stateDir, name) };
  });
  return {
    stateDir,
    nodes,
    async load(saved) {
      placeNodes(nodes, saved);
      await orderLoad(control, basename(saved.dir));
    },
  };
}

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

export function sizeText(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), UNITS.length - 1);
  const value = bytes / 2 ** (10 * step);
  return `${step === 0 ? value : value.toFixed(1)} ${UNITS[step]}`;
}

export const nodesText = (count: number): string => (count === 1 ? "1 node" : `${count} nodes`);
