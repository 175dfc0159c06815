import { GevulotError } from "gevulot-sdk";
import { expect, test } from "vitest";
import type { SavedState } from "../state/stateHost.ts";
import type { DevnetNode } from "./devnetNode.ts";
import { createDevnetState } from "./devnetState.ts";

test("where a node does not begin anew, the others do all the same", async () => {
  const orders: string[] = [];
  const nodes = ["node0", "node1", "node2"].map((name): Partial<DevnetNode> => {
    return {
      name,
      pid: 1,
      order: async ({ kind }) => {
        orders.push(`${kind} ${name}`);
        if (kind === "resume" && name === "node0")
          throw new GevulotError("NODE_ORDER_FAILED", "no", { context: { order: kind } });
      },
    };
  });
  const state = createDevnetState(nodes as DevnetNode[], "nowhere", {});
  const manifest = { nodes: [{ name: "node7", files: [] }] } as unknown as SavedState["manifest"];
  await expect(state.load({ dir: "nowhere", manifest, source: "it" })).rejects.toMatchObject({
    code: "NODE_ORDER_FAILED",
  });
  const all = (kind: string) => nodes.map(({ name }) => `${kind} ${name}`);
  expect(orders).toEqual([...all("suspend"), ...all("resume")]);
});
