import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { removeTree } from "../removeTree.ts";
import type { Devnet } from "./devnet.ts";
import type { DevnetOptions } from "./devnetOptions.ts";
import { untilMesh } from "./mesh.ts";
import type { Postgres } from "./postgres.ts";

/** Of a node's folder: what was said, and where it listens. */
const KEPT = /^(node\.log(\.1)?|ports\.json)$/;

/** Stops all parts of a devnet and starts them where they were; `fresh` empties databases and files in between. */
export async function startAgain(
  parts: {
    readonly nodes: Devnet["nodes"];
    readonly postgres: Pick<Postgres, "stop" | "start" | "emptyDatabase">;
    readonly options: DevnetOptions;
  },
  fresh: boolean,
): Promise<void> {
  const { nodes, postgres, options } = parts;
  const { onProgress = () => {} } = options;
  onProgress("stopping the nodes");
  await Promise.all(nodes.map((node) => node.kill("SIGTERM")));
  if (fresh) {
    onProgress("emptying databases and files");
    for (const { name } of nodes) await postgres.emptyDatabase(name);
    await Promise.all(nodes.map(({ dataDir }) => emptyNode(dataDir)));
  } else {
    await postgres.stop();
    await postgres.start();
  }
  const [first, ...others] = nodes;
  await first.start();
  await Promise.all(others.map((node) => node.start()));
  await untilMesh(nodes, options);
}

async function emptyNode(dataDir: string): Promise<void> {
  for (const entry of await readdir(dataDir)) {
    if (!KEPT.test(entry)) await removeTree(join(dataDir, entry));
  }
}
