import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** Prometheus text. */
export interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

/** The metrics of protocol section 10, under its names. */
export interface Metrics extends MetricsText {
  rpcAnswered(method: string, seconds: number): void;
  taskEnded(kind: "proof" | "verification", status: "success" | "failure", ms: number): void;
  taskRequeued(): void;
  p2pMessage(): void;
  /** What is asked for whenever the metrics are. */
  watch(readings: Partial<MetricReadings>): void;
}

export interface MetricReadings {
  readonly connectedPeers: () => number;
  readonly p2pProtocolVersion: () => number;
  readonly total: () => MachineAmounts;
  readonly available: () => MachineAmounts;
}

export interface MachineAmounts {
  readonly memMib: number;
  readonly cpus: number;
  readonly gpus: number;
}

const NOTHING: MachineAmounts = { memMib: 0, cpus: 0, gpus: 0 };
const RPC_BUCKETS_S = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600];
const TASK_BUCKETS_MS = [100, 500, 1_000, 5_000, 10_000, 30_000, 60_000, 300_000, 1_800_000, 3_600_000];

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  let readings: MetricReadings = {
    connectedPeers: () => 0,
    p2pProtocolVersion: () => 1,
    total: () => NOTHING,
    available: () => NOTHING,
  };
  const counter = (name: string, help: string) => new Counter({ name, help, registers });
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });

  const rpcRequests = counter("rpc_incoming_requests", "JSON-RPC calls that reached a method");
  const p2pMessages = counter("p2p_incoming_messages", "Messages from peers");
  const requeued = counter("tx_scheduling_requeued", "Tasks put back into the queue");
  const rpcTime = new Histogram({
    name: "rpc_response_time",
    help: "Time of JSON-RPC calls, seconds",
    labelNames: ["method"],
    buckets: RPC_BUCKETS_S,
    registers,
  });
  const taskTime = new Histogram({
    name: "tx_execution_time",
    help: "Time of tasks, milliseconds",
    labelNames: ["kind", "status"],
    buckets: TASK_BUCKETS_MS,
    registers,
  });
  gauge("p2p_protocol_version", "Protocol version that this node announces", () =>
    readings.p2pProtocolVersion(),
  );
  gauge("p2p_connected_peers", "Peers that are connected", () => readings.connectedPeers());
  for (const [which, words] of [
    ["available", "not given to tasks"],
    ["total", "for tasks"],
  ] as const) {
    gauge(`gevulot_cpus_${which}`, `Processor cores ${words}`, () => readings[which]().cpus);
    gauge(`gevulot_mem_${which}`, `Memory ${words}, MiB`, () => readings[which]().memMib);
    gauge(`gevulot_gpus_${which}`, `GPUs ${words}`, () => readings[which]().gpus);
  }

  return {
    text: () => registry.metrics(),
    contentType: registry.contentType,
    rpcAnswered(method, seconds) {
      rpcRequests.inc();
      rpcTime.observe({ method }, seconds);
    },
    taskEnded: (kind, status, ms) => taskTime.observe({ kind, status }, ms),
    taskRequeued: () => requeued.inc(),
    p2pMessage: () => p2pMessages.inc(),
    watch(more) {
      readings = { ...readings, ...more };
    },
  };
}
