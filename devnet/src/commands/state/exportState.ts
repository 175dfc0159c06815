import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import { exportState } from "../../state/snapshots.ts";
import type { Output } from "../terminal/report.ts";
import { nodesText, type StateArgs, sizeText, withStateHost } from "./stateHost.ts";

export interface ExportStateArgs extends StateArgs {
  readonly file: string;
  readonly force: boolean;
}

/** `export FILE`: the state of this folder's devnet as one file. */
export function runExportState(args: ExportStateArgs): Promise<Output> {
  return withStateHost(args, { create: false }, async (host) => {
    const file = resolve(args.file);
    const { nodes } = await exportState(host, file, args);
    const { size: bytes } = await stat(file);
    return {
      data: { file, nodes: nodes.length, bytes },
      lines: [`wrote ${file}: ${nodesText(nodes.length)}, ${sizeText(bytes)}; it holds the devnet's keys`],
    };
  });
}
