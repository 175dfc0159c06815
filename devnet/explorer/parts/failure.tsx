import type { TaskFailure, TaskFailureCode } from "gevulot-sdk";
import type { RunView } from "../../src/explorer/api.ts";
import { cleanConsole, Terminal } from "./console.tsx";
import { Command } from "./notices.tsx";

/** What to do about it. */
const MENDS: Readonly<Record<TaskFailureCode, string>> = {
  PROGRAM_FAILED:
    "The program itself gave up. Read the end of its console below; run it alone on the same inputs to find out why.",
  RESULT_INVALID:
    "The program ended, but what it handed back can't be taken. Name only files below /workspace that it has written, and write task_result.json once.",
  INPUT_MISSING:
    "A file that a step takes from an earlier one is not among that step's outputs. Compare the names in Steps and in Files below.",
  OUT_OF_MEMORY: "Deploy the program with more memory.",
  OUTPUT_LIMIT:
    "Have the program leave less in its workspace, or start the devnet with a larger --max-output-gb.",
  BOOT_FAILED: "The image did not come up. Check it, and boot it alone to see its console.",
  VM_DIED: "QEMU ended before the program did. The node's log says how; the machine may be short of memory.",
  DEADLINE: "The task took longer than it may. Start the devnet with a longer --task-deadline-seconds.",
  CANCELLED: "The Run's author cancelled it. Send it again if that was a mistake.",
  LOST: "The node died in each attempt. See whether it runs, and why it ended.",
  CANNOT_FIT: "Deploy the program with less, or start the devnet with more: --mem-gb, --num-cpus.",
  NODE_ERROR: "The node itself failed. Its log has more.",
};

const COMMANDS: Partial<Readonly<Record<TaskFailureCode, string>>> = {
  PROGRAM_FAILED: "npx gevulot-devnet task run <image> --workspace <folder>",
  RESULT_INVALID: "npx gevulot-devnet task run <image> --workspace <folder>",
  BOOT_FAILED: "npx gevulot-devnet vm run <image>",
  VM_DIED: "npx gevulot-devnet logs -f",
  LOST: "npx gevulot-devnet status",
  NODE_ERROR: "npx gevulot-devnet logs -f",
  OUT_OF_MEMORY: "npx gevulot deploy … --provermem 4096",
};

/** Why a Run failed, in the program's own words where it left some, and what to do. */
export function Failure({ failure, run }: { readonly failure: TaskFailure; readonly run: RunView }) {
  const { code, message, step, exitCode, signal, consoleTail } = failure;
  const program = run.steps[step]?.program.name;
  const ended = signal ? `signal ${signal}` : exitCode !== null ? `exit code ${exitCode}` : null;
  const command = COMMANDS[code];
  const { first, rest } = splitMessage(message);
  const tail = cleanConsole(consoleTail).trim();
  return (
    <section class="notice bad" aria-labelledby="failure">
      <h2 id="failure" class="notice-title">
        Why it failed
      </h2>
      <p class="failure-message">{first}</p>
      {rest !== "" && (
        <details>
          <summary>All of its message</summary>
          <pre class="message-rest">{rest}</pre>
        </details>
      )}
      <p class="muted">
        <code>{code}</code> in step {step + 1}
        {program && `, ${program}`}
        {ended && `, ${ended}`}
      </p>
      <p>
        <strong>What to do.</strong> {MENDS[code] ?? "See the tasks below."}
      </p>
      {command && <Command text={command} />}
      {tail !== "" && (
        <Terminal name="The end of its console" isShort>
          {tail}
        </Terminal>
      )}
    </section>
  );
}

/** Programs often say why in one line, and where in many. */
export function splitMessage(message: string): { readonly first: string; readonly rest: string } {
  const [first = "", ...rest] = cleanConsole(message).trim().split("\n");
  return { first, rest: rest.join("\n") };
}
