import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { z } from "zod";
import { createMetrics } from "./metrics.ts";

const file = fileURLToPath(new URL("../../../docs/grafana/gevulot.json", import.meta.url));
const datasource = z.object({ type: z.literal("prometheus"), uid: z.string().regex(/^\$\{datasource\}$/) });
const place = z.object({ x: z.int().min(0), y: z.int().min(0), w: z.int().min(1), h: z.int().min(1) });
const row = z.object({ id: z.int(), type: z.literal("row"), title: z.string().min(1), gridPos: place });
const panel = z.object({
  id: z.int(),
  type: z.enum(["stat", "timeseries"]),
  title: z.string().min(1),
  gridPos: place,
  datasource,
  targets: z.array(z.object({ refId: z.string(), datasource, expr: z.string().min(1) })).min(1),
  fieldConfig: z.object({ defaults: z.object({ unit: z.string() }) }),
});
const variable = z.object({ name: z.string(), type: z.enum(["datasource", "query"]) });
/** As much of Grafana's form as this dashboard has. */
const dashboard = z.object({
  uid: z.string().max(40),
  title: z.string(),
  schemaVersion: z.int().min(36),
  templating: z.object({ list: z.array(variable) }),
  panels: z.array(z.union([row, panel])),
});

const { panels, templating } = dashboard.parse(JSON.parse(readFileSync(file, "utf8")));
const expressions = panels.flatMap((each) => ("targets" in each ? each.targets.map(({ expr }) => expr) : []));

/** Every name and label that the node's metrics have. */
async function exported(): Promise<{ names: Set<string>; labels: Set<string> }> {
  const metrics = createMetrics();
  metrics.rpcAnswered("getTransaction", 0.1);
  metrics.taskEnded("proof", "success", 10);
  const text = await metrics.text();
  return {
    names: new Set([...text.matchAll(/^(\w+)[ {]/gm)].map(([, name]) => name as string)),
    labels: new Set([...text.matchAll(/[{,](\w+)="/g)].map(([, name]) => name as string)),
  };
}

test("the dashboard asks for metrics that nodes have, and for all of them", async () => {
  const { names, labels } = await exported();
  const known = new Set([...labels, "job", "instance"]);
  const used = new Set<string>();
  for (const expression of expressions) {
    const [metric] = expression.match(/\b(rpc|p2p|tx|gevulot)_\w+/) ?? [];
    expect(names, expression).toContain(metric);
    for (const [name] of expression.matchAll(/\b(?:rpc|p2p|tx|gevulot)_\w+/g)) used.add(name);
    for (const [, name] of expression.matchAll(/[{,]\s*(\w+)=~?"/g))
      expect(known, expression).toContain(name);
    for (const [, list] of expression.matchAll(/\bby \(([^)]*)\)/g)) {
      for (const name of (list as string).split(", ")) expect(known, expression).toContain(name);
    }
  }
  const families = [...names].map((name) => name.replace(/_(bucket|count|sum)$/, ""));
  const seen = new Set([...used].map((name) => name.replace(/_(bucket|count|sum)$/, "")));
  expect(families.filter((name) => !seen.has(name))).toEqual([]);
});

test("its variables are those that it uses, and its panels don't overlap", () => {
  const used = new Set(expressions.flatMap((text) => [...text.matchAll(/\$(\w+)/g)].map(([, name]) => name)));
  const names = templating.list.map(({ name }) => name);
  expect([...used].filter((name) => name !== "__rate_interval").sort()).toEqual(["instance", "job"]);
  expect(names.sort()).toEqual(["datasource", "instance", "job"]);
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = new Set<string>();
  for (const { gridPos } of panels) {
    expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect(cells.has(`${x} ${y}`), `${x} ${y}`).toBe(false);
        cells.add(`${x} ${y}`);
      }
    }
  }
});
