import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { MetricsText } from "../../observe/metrics.ts";

/** Metrics by the existing service's names. */
export interface PipelineMetrics extends MetricsText {
  /** Counts a call; what it gives back is called at its end. */
  count(method: string): () => void;
  /** Of the run of which segments were told last. */
  segments(count: number): void;
}

export function createPipelineMetrics(): PipelineMetrics {
  const registry = new Registry();
  const registers = [registry];
  const calls = new Counter({ name: "request_counter", help: "Calls", labelNames: ["method"], registers });
  const cost = new Histogram({
    name: "method_cost",
    help: "Seconds a call took",
    labelNames: ["method"],
    registers,
  });
  const segments = new Gauge({
    name: "stage_segment_count",
    help: "Segments of the run that was split last",
    registers,
  });
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    count(method) {
      calls.inc({ method });
      return cost.startTimer({ method });
    },
    segments: (count) => segments.set(count),
  };
}
