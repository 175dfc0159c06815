import { loadState } from "../state/loadState.ts";
import type { StateHost } from "../state/stateHost.ts";
import type { DevnetNode } from "./devnetNode.ts";
import type { DevnetOptions } from "./devnetOptions.ts";
import { untilMesh } from "./mesh.ts";

/** The state of a devnet that runs: while it is replaced, its nodes let go of their databases together. */
export function createDevnetState(
  nodes: readonly DevnetNode[],
  stateDir: string,
  options: DevnetOptions,
): StateHost {
  let turn: Promise<unknown> = Promise.resolve();
  return {
    stateDir,
    nodes,
    load(saved) {
      const work = () => loadState({ stateDir, nodes }, saved);
      const done = turn.then(() => whileSuspended(nodes, options, work));
      turn = done.catch(() => {});
      return done;
    },
  };
}

async function whileSuspended(
  nodes: readonly DevnetNode[],
  options: DevnetOptions,
  work: () => Promise<void>,
): Promise<void> {
  // One that is stopped finds the new state when it is started.
  const working = nodes.filter(({ pid }) => pid !== null);
  try {
    // None goes on before all are done: it would tell the others of what is to be forgotten.
    await settleAll(working.map((node) => node.order({ kind: "suspend" })));
    await work();
  } finally {
    await resumeAll(working);
    await untilMesh(working, options);
  }
}

/** The others dial the first, and go on also where it does not. */
async function resumeAll([first, ...others]: readonly DevnetNode[]): Promise<void> {
  const begun = first?.order({ kind: "resume" }) ?? Promise.resolve();
  await begun.catch(() => {});
  await settleAll([begun, ...others.map((node) => node.order({ kind: "resume" }))]);
}

/** As `Promise.all`, and nothing goes on afterwards. */
async function settleAll(all: readonly Promise<void>[]): Promise<void> {
  const failed = (await Promise.allSettled(all)).find((each) => each.status === "rejected");
  if (failed) throw failed.reason;
}
