import { getEventListeners } from "node:events";
import { credentials, Metadata } from "@grpc/grpc-js";
import { expect, it } from "vitest";
import { createExistingNode } from "../../../../test/fixtures/pipeline/existingNode.ts";
import { loadProtos } from "../wire/protos.ts";
import { createNodeClient } from "./nodeClient.ts";

it("a call that is over leaves nothing at the signal, which lives on", async () => {
  const answers = [{ result: { code: 0, message: "" } }, { code: 13, details: "no" }];
  await using node = await createExistingNode({ Prove: () => answers.shift()! });
  const protos = loadProtos();
  const deps = { ...protos, protos, credentials: credentials.createInsecure() };
  const client = createNodeClient(deps, node.addr);
  const { signal } = new AbortController();
  for (const kind of ["answered", "failed"]) {
    const call = client.call("Prove", {}, new Metadata(), { deadlineMs: 60_000, signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    expect(await call).toMatchObject({ kind });
    expect(getEventListeners(signal, "abort")).toEqual([]);
  }
  client.close();
});
