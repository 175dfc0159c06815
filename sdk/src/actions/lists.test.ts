import { expect, test } from "vitest";
import { GevulotClient } from "../index.ts";

const HASH = "ab".repeat(32);

/** A client whose node has nothing, and what it was asked. */
function createAsker() {
  const asked: unknown[] = [];
  const client = new GevulotClient({
    fetch: async (_, init) => {
      const { id, method, params } = JSON.parse(String(init?.body));
      asked.push([method, ...params]);
      return Response.json({ jsonrpc: "2.0", id, result: { Ok: { items: [], next: null } } });
    },
  });
  return { client, asked };
}

test("a node is asked for what the filter says, and no more", async () => {
  const { client, asked } = createAsker();
  expect(await client.listRuns()).toEqual({ items: [], next: null });
  await client.listRuns({ state: "failed", program: HASH, limit: 5 });
  await client.listPrograms({ author: "04", before: "2026-01-01T00:00:00Z" });
  await client.listTasks({ state: "queued" });
  expect(asked).toEqual([
    ["listRuns", {}],
    ["listRuns", { state: "failed", program: HASH, limit: 5 }],
    ["listPrograms", { author: "04", before: "2026-01-01T00:00:00Z" }],
    ["listTasks", { state: "queued" }],
  ]);
});

test.each([0, 101, 1.5])("a limit of %d is refused before anything is asked", async (limit) => {
  const { client, asked } = createAsker();
  await expect(client.listRuns({ limit })).rejects.toMatchObject({ code: "OPTION_INVALID" });
  expect(asked).toEqual([]);
});
