import { describe, expect, test } from "vitest";
import { createMetrics } from "./metrics.ts";
import { createHealthServer, createMetricsServer } from "./observeServers.ts";

const ANY = { host: "127.0.0.1", port: 0 };
const NAMES = [
  "rpc_incoming_requests",
  "p2p_incoming_messages",
  "tx_scheduling_requeued",
  "rpc_response_time",
  "tx_execution_time",
  "p2p_protocol_version",
  "p2p_connected_peers",
  ...["cpus", "mem", "gpus"].flatMap((what) => [`gevulot_${what}_available`, `gevulot_${what}_total`]),
];

test("the metrics have the protocol's names, labels and values", async () => {
  const metrics = createMetrics();
  await using server = await createMetricsServer(metrics, { ...ANY, flag: "--http-metrics-listen-addr" });
  metrics.rpcAnswered("getTransaction", 0.002);
  metrics.taskEnded("proof", "failure", 1_500);
  metrics.taskRequeued();
  metrics.watch({ total: () => ({ cpus: 4, memMib: 2_048, gpus: 1 }) });
  const text = await (await fetch(`http://127.0.0.1:${server.port}/metrics`)).text();
  const names = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
  expect(names.sort()).toEqual([...NAMES].sort());
  for (const line of [
    "rpc_incoming_requests 1",
    "tx_scheduling_requeued 1",
    'rpc_response_time_sum{method="getTransaction"} 0.002',
    'tx_execution_time_sum{kind="proof",status="failure"} 1500',
    "gevulot_mem_total 2048",
    "gevulot_cpus_available 0",
    "p2p_protocol_version 1",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
});

describe("health", () => {
  test("alive, in trouble, shutting down; ready only once started", async () => {
    let well = true;
    let started = false;
    const check = async () => {
      if (!well) throw new Error("gone");
    };
    await using health = await createHealthServer({ check, isStarted: () => started }, ANY);
    const statuses = async () =>
      Promise.all(
        ["healthz", "ready", "other"].map(
          async (path) => (await fetch(`http://127.0.0.1:${health.port}/${path}`)).status,
        ),
      );
    expect(await statuses()).toEqual([200, 503, 404]);
    started = true;
    expect(await statuses()).toEqual([200, 204, 404]);
    well = false;
    expect(await statuses()).toEqual([503, 503, 404]);
    health.stopping();
    expect(await statuses()).toEqual([204, 503, 404]);
  });
});
