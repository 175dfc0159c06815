import type { RunStatus } from "gevulot-sdk";

const STAGES = ["submitted", "proving", "verifying", "complete"] as const;

/** How far a Run is. Where it failed stands between what it came to and what it didn't. */
export function Stages({ status }: { readonly status: RunStatus }) {
  const isFailed = status.state === "failed";
  const at = isFailed ? failedAt(status) : STAGES.indexOf(status.state as (typeof STAGES)[number]);
  return (
    <ol class="stages" aria-label="How far this Run is">
      {STAGES.map((stage, index) => {
        const isEnd = stage === "complete" && at === index;
        const state = index < at || isEnd ? "past" : index > at ? "ahead" : isFailed ? "failed" : "now";
        const words = { past: "done", ahead: "not yet", failed: "failed here", now: "now" }[state];
        return (
          <li key={stage} class={state} aria-current={state === "now" ? "step" : undefined}>
            {stage}
            <span class="visually-hidden">, {words}</span>
          </li>
        );
      })}
    </ol>
  );
}

function failedAt({ tasks, proofs }: RunStatus): number {
  if (tasks.some(({ kind, state }) => kind === "verification" && state === "failed")) return 2;
  return proofs.length > 0 ? 2 : tasks.some(({ attempts }) => attempts.length > 0) ? 1 : 0;
}
