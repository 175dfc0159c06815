import type { TaskAttempt, TaskStatus } from "gevulot-sdk";
import { useState } from "preact/hooks";
import type { RunView } from "../../src/explorer/api.ts";
import { useNodeNames } from "../state/nodeNames.ts";
import { useNow } from "../state/useNow.ts";
import { bytes, count, duration } from "../state/words.ts";
import { Console } from "./console.tsx";
import { splitMessage } from "./failure.tsx";
import { Empty } from "./notices.tsx";
import { ProgramLink } from "./runTable.tsx";
import { StateBadge } from "./stateBadge.tsx";

/** Browsers keep few connections to one server, and each console that is open is one. */
const MAX_OPEN = 3;

export function Tasks({ run }: { readonly run: RunView }) {
  const nameOf = useNodeNames(run);
  const { tasks } = run.status;
  const [open, setOpen] = useState<readonly string[] | null>(null);
  // Until somebody chooses, the one that runs.
  const first = tasks.find(({ state }) => state === "running")?.id;
  const shown = open ?? (first === undefined ? [] : [first]);
  const toggle = (id: string) => {
    setOpen(shown.includes(id) ? shown.filter((each) => each !== id) : [...shown, id].slice(-MAX_OPEN));
  };
  if (tasks.length === 0) {
    return (
      <Empty title="No node has begun yet.">
        The nodes whose turn it is begin when memory and CPUs are free.
      </Empty>
    );
  }
  return (
    <ul class="tasks">
      {tasks.map((task) => (
        <li key={`${task.node} ${task.id}`}>
          <Task
            {...{ task, by: nameOf(task.node) }}
            isOpen={shown.includes(task.id)}
            onToggle={() => toggle(task.id)}
          />
        </li>
      ))}
    </ul>
  );
}

function Task(props: {
  readonly task: TaskStatus;
  readonly by: string;
  readonly isOpen: boolean;
  readonly onToggle: () => void;
}) {
  const { task, by, isOpen, onToggle } = props;
  const { id, kind, state, waitsFor, attempts, failure, node } = task;
  const last = attempts.at(-1);
  const panel = `console-${id}`;
  const what = kind === "proof" ? "Proof" : "Verification";
  return (
    <article class="task" aria-label={`${what} by ${by}`}>
      <div class="task-head">
        <StateBadge state={state} />
        <span>
          <strong>{what}</strong> by <strong>{by}</strong>
        </span>
        <span class="muted">
          <ProgramLink program={{ hash: task.program, name: task.programName }} />
        </span>
        {last && <AttemptFacts attempt={last} attempts={attempts.length} />}
        {last && (
          <button type="button" aria-expanded={isOpen} aria-controls={panel} onClick={onToggle}>
            Console
            <span class="visually-hidden">
              {" "}
              of the {what.toLowerCase()} by {by}
            </span>
          </button>
        )}
      </div>
      {waitsFor && <p class="muted">It {waitsFor.replace(/^it /i, "")}.</p>}
      {failure && (
        <p class="bad-text">
          <code>{failure.code}</code> {splitMessage(failure.message).first}
        </p>
      )}
      <div id={panel}>
        {last && isOpen && (
          <Console
            key={`${id} ${last.number}`}
            {...{ task: id, node, tail: last.consoleTail }}
            name={`Console of the ${what.toLowerCase()} by ${by}`}
          />
        )}
      </div>
    </article>
  );
}

function AttemptFacts({ attempt, attempts }: { readonly attempt: TaskAttempt; readonly attempts: number }) {
  const { provider, accelerator, startedAt, endedAt, vsock, peakMemBytes } = attempt;
  const now = useNow(endedAt === null);
  const ms = (endedAt === null ? now : Date.parse(endedAt)) - Date.parse(startedAt);
  const runs = provider === "process" ? "host process" : `QEMU, ${accelerator}`;
  return (
    <span class="muted">
      {duration(ms)} · {runs}
      {vsock !== null && vsock !== "none" && `, ${vsock}`}
      {peakMemBytes != null && ` · at most ${bytes(peakMemBytes)} of memory`}
      {attempts > 1 && ` · ${count(attempts, "attempt")}`}
    </span>
  );
}
