import { setTimeout as delay } from "node:timers/promises";
import type { GevulotClient, TaskStatus } from "gevulot-sdk";
import type { NodeLink } from "../explorer/nodeLink.ts";
import { type ConsoleOptions, createLineCutter, readTaskConsole } from "./taskConsole.ts";

/** A node that is asked for its consoles. */
export interface ConsoleNode {
  readonly name: string;
  readonly client: GevulotClient;
  readonly link: NodeLink;
}

/** A line of a program's console, and whose it is. */
export interface ConsoleLine {
  /** Its name, or the beginning of its key where it was not asked. */
  readonly node: string;
  readonly task: string;
  readonly step: number;
  readonly programName: string;
  readonly attempt: number;
  readonly text: string;
}

const LOOK_MS = 500;
const KEY_CHARS = 16;

/**
 * The consoles of all tasks of a Run, from whichever nodes ran them: task by task, or, where they are followed, as their
 * lines come, until the Run has ended.
 */
export async function readRunConsoles(
  nodes: readonly ConsoleNode[],
  run: string,
  options: ConsoleOptions,
  onLine: (line: ConsoleLine) => void,
): Promise<void> {
  const byKey = await nodesByKey(nodes);
  const begun = new Map<string, Promise<void>>();
  for (;;) {
    const { tasks, hasEnded } = await readTasks(nodes, run);
    for (const task of tasks) {
      if (task.attempts.length === 0 || begun.has(task.id)) continue;
      const reading = showTask(byKey.get(task.node ?? ""), task, options, onLine);
      begun.set(task.id, reading);
      if (!options.follow) await reading;
    }
    if (!options.follow || options.signal.aborted) break;
    if (hasEnded && tasks.every(({ id, state }) => begun.has(id) || state === "failed")) break;
    await delay(LOOK_MS, undefined, { signal: options.signal }).catch(() => {});
  }
  await Promise.all(begun.values());
}

async function nodesByKey(nodes: readonly ConsoleNode[]): Promise<ReadonlyMap<string, ConsoleNode>> {
  const keys = await Promise.all(
    nodes.map((node) => node.link.call<{ publicKey: string }>("getNodeInfo").catch(() => null)),
  );
  return new Map(
    keys.flatMap((info, index) => (info ? [[info.publicKey, nodes[index] as ConsoleNode]] : [])),
  );
}

/** As the nodes tell it, each its own tasks first; nodes that don't answer are passed over. */
async function readTasks(
  nodes: readonly ConsoleNode[],
  run: string,
): Promise<{ tasks: readonly TaskStatus[]; hasEnded: boolean }> {
  const answers = await Promise.allSettled(nodes.map(({ client }) => client.getRunStatus(run)));
  const statuses = answers.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  if (statuses.length === 0) throw (answers[0] as PromiseRejectedResult).reason;
  const tasks = new Map<string, TaskStatus>();
  for (const task of statuses.flatMap((status) => status.tasks)) {
    const known = tasks.get(task.id);
    // A node knows more of its own tasks than others were told.
    if (known === undefined || task.attempts.length > known.attempts.length) tasks.set(task.id, task);
  }
  const isOver = (state: string) => state === "complete" || state === "failed";
  return {
    tasks: [...tasks.values()].sort((a, b) => a.step - b.step),
    hasEnded: statuses.every(({ state }) => isOver(state)),
  };
}

/** Earlier attempts have only the end of their console, and so have tasks of nodes that were not asked. */
async function showTask(
  node: ConsoleNode | undefined,
  task: TaskStatus,
  options: ConsoleOptions,
  onLine: (line: ConsoleLine) => void,
): Promise<void> {
  const { id, step, programName, attempts } = task;
  const name = node?.name ?? String(task.node).slice(0, KEY_CHARS);
  const lineOf = (attempt: number) => (text: string) =>
    onLine({ node: name, task: id, step, programName, attempt, text });
  const tail = ({ number, consoleTail }: TaskStatus["attempts"][number]) => {
    const cutter = createLineCutter(lineOf(number));
    cutter.add(consoleTail);
    cutter.end();
  };
  for (const each of attempts.slice(0, -1)) tail(each);
  let shown = 0;
  if (node !== undefined) {
    let cutter = createLineCutter(lineOf(attempts.length));
    let current = 0;
    await readTaskConsole(node.link, id, options, ({ attempt, text, skippedBytes }) => {
      if (attempt !== current) {
        cutter.end();
        cutter = createLineCutter(lineOf(attempt));
        current = attempt;
      }
      if (skippedBytes > 0) lineOf(attempt)(`[${skippedBytes} bytes before]`);
      shown += text.length;
      cutter.add(text);
    });
    cutter.end();
  }
  const last = attempts.at(-1);
  if (shown === 0 && last !== undefined) tail(last);
}
