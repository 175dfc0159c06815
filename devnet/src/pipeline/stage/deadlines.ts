import type { PipelineConfig, StepName } from "../config.ts";

/** The existing service waits so long. */
const DEFAULT_SECONDS = 7_200;
const DEFAULT_OF_CHECKS_SECONDS = 600;

/** How long a step may take. */
export function deadlineMsOf(step: StepName, config: Pick<PipelineConfig, "deadline_seconds">): number {
  const usual = step === "verify" ? DEFAULT_OF_CHECKS_SECONDS : DEFAULT_SECONDS;
  return (config.deadline_seconds[step] ?? usual) * 1_000;
}
