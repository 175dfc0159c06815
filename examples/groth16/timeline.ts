import type { RunStatus, TaskStatus } from "gevulot-sdk";

/** Where the time of a run went, from the node's own record: one line a stage, and a bar. */
export function timeline(status: RunStatus): string {
  const start = Date.parse(status.submittedAt);
  const end = Date.parse(status.endedAt ?? status.submittedAt);
  const rows = status.tasks.flatMap((task) => stagesOf(task));
  const scale = BAR_WIDTH / Math.max(1, end - start);
  const lines = rows.map(({ name, from, to }) => {
    const offset = Math.round((from - start) * scale);
    const length = Math.max(1, Math.round((to - from) * scale));
    const seconds = ((to - from) / 1_000).toFixed(2).padStart(7);
    return `${name.padEnd(NAME_WIDTH)}${seconds} s  ${" ".repeat(offset)}${"█".repeat(length)}`;
  });
  const [attempt] = status.tasks[0]?.attempts ?? [];
  const where = `${attempt?.provider}, accelerator ${attempt?.accelerator}`;
  const total = ((end - start) / 1_000).toFixed(2).padStart(7);
  return [
    `where the time went (${where})`,
    ...lines,
    `${"run to verification".padEnd(NAME_WIDTH)}${total} s`,
  ].join("\n");
}

const BAR_WIDTH = 50;
const NAME_WIDTH = 26;

interface Stage {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

function stagesOf(task: TaskStatus): Stage[] {
  const attempt = task.attempts.at(-1);
  if (!attempt?.bootedAt || !attempt.programStartedAt || !attempt.endedAt) return [];
  const times = [
    attempt.queuedAt,
    attempt.startedAt,
    attempt.bootedAt,
    attempt.programStartedAt,
    attempt.endedAt,
  ];
  const [queued, started, booted, program, ended] = times.map((time) => Date.parse(time)) as [
    number,
    number,
    number,
    number,
    number,
  ];
  const who = task.kind === "proof" ? "prover" : "verifier";
  return [
    { name: `${who}: wait and files`, from: queued, to: started },
    { name: `${who}: virtual machine`, from: started, to: booted },
    { name: `${who}: workspace`, from: booted, to: program },
    { name: `${who}: program, result`, from: program, to: ended },
  ];
}
