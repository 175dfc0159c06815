import { expect, it } from "vitest";
import { createPipelineMetrics } from "./pipelineMetrics.ts";

it("shows the segments of one run, not the sum of all, as the existing service", async () => {
  const metrics = createPipelineMetrics();
  for (const count of [64, 80, 3]) metrics.segments(count);
  expect(await metrics.text()).toMatch(/^stage_segment_count 3$/m);
});
