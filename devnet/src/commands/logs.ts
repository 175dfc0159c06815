import { readdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { GevulotError } from "gevulot-sdk";
import { safeName, safeText } from "gevulot-sdk/node";
import type { Argv, CommandModule } from "yargs";
import { createNodeLink } from "../explorer/nodeLink.ts";
import { entryText, type LogEntry } from "../logs/logEntry.ts";
import { type NodeLog, readNodeLogs } from "../logs/nodeLogs.ts";
import { type ConsoleLine, type ConsoleNode, readRunConsoles } from "../logs/runConsoles.ts";
import { createLineCutter, readTaskConsole } from "../logs/taskConsole.ts";
import { okEnvelope, printEnvelope } from "./terminal/envelope.ts";
import { type Output, report } from "./terminal/report.ts";
import { isFancy } from "./terminal/terminal.ts";
import { untilSignal } from "./terminal/untilSignal.ts";
import {
  type ChosenNode,
  checkNodeChoice,
  chooseNodes,
  findRunOf,
  type NodeChoice,
  nodeChoice,
} from "./up/chosenNodes.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    LOG_NOT_FOUND: { what: string };
  }
}

type LogsArgs = NodeChoice & { what: string | undefined; follow: boolean; lines: number };

const DEFAULT_LINES = 200;
const NODE = /^(?:node)?(\d{1,3})$/;
const NODE_FOLDER = /^node\d+$/;
const TASK = /^[0-9a-f]{16}$/;
const HASH = /^[0-9a-fA-F]{4,64}$/;

export const logsCommand: CommandModule<object, LogsArgs> = {
  command: "logs [what]",
  describe: "Show the logs of nodes, or the consoles of a run's tasks",
  builder: (yargs: Argv) =>
    yargs
      .positional("what", {
        type: "string",
        describe: "A node (node0), a task's id, or the first digits of a run's hash; default all nodes",
      })
      .options({
        ...nodeChoice,
        follow: {
          type: "boolean",
          alias: "f",
          default: false,
          describe: "Go on as it comes, until Ctrl-C or the run's end",
        },
        lines: {
          type: "number",
          alias: "n",
          default: DEFAULT_LINES,
          requiresArg: true,
          describe: "Of nodes: how many of the last lines",
        },
      })
      .check(checkLogs)
      .example("$0 logs -f", "all nodes")
      .example("$0 logs node1 -n 50", "one node")
      .example(
        "$0 logs 4b1f0a2c -f",
        "what the programs of a run print, while they run",
      ) as unknown as Argv<LogsArgs>,
  handler: (args) =>
    report("logs", args, async () => {
      const { what } = args;
      if (what === undefined || NODE.test(what)) return showNodes(args);
      return showConsoles(args, what);
    }),
};

function checkLogs(args: Readonly<Record<string, unknown>>): true | string {
  const { what, lines, node } = args as unknown as LogsArgs;
  if (!Number.isInteger(lines) || lines < 0) return "--lines wants a whole number from 0.";
  const isNode = what === undefined || NODE.test(what);
  if (isNode && node !== undefined && node.length > 0)
    return "The log of a node elsewhere is on its machine. With --node, give a run's hash or a task's id.";
  if (!isNode && !HASH.test(what))
    return `"${what}" is none of a node (node0), a task's id, and the first 4 or more hex digits of a hash.`;
  return checkNodeChoice(args as unknown as LogsArgs);
}

/** From files, so that it also works where the devnet has ended. */
async function showNodes(args: LogsArgs): Promise<Output> {
  const { read, show } = printer<LogEntry>(args, (entry) =>
    entryText(entry, isFancy(process.stdout, process.env)),
  );
  const logs = await findNodeLogs(resolve(args["state-dir"]), args.what);
  const { entries, follow } = await readNodeLogs(logs, args.lines);
  for (const entry of entries) show(entry);
  if (args.follow) await untilStopped((signal) => follow(show, signal));
  return read();
}

async function findNodeLogs(stateDir: string, what: string | undefined): Promise<NodeLog[]> {
  const names = (await readdir(stateDir).catch(noFolder)).filter((name) => NODE_FOLDER.test(name));
  const nodes = names.sort((a, b) => Number(a.slice(4)) - Number(b.slice(4)));
  const wanted = what === undefined ? undefined : `node${NODE.exec(what)?.[1]}`;
  const found = nodes.filter((name) => wanted === undefined || name === wanted);
  if (found.length > 0) return found.map((name) => ({ name, path: join(stateDir, name, "node.log") }));
  const message =
    nodes.length === 0
      ? `There is no devnet in ${stateDir}, and so no log. Start one with: gevulot-devnet up`
      : `The devnet has no ${wanted}; it has ${nodes.join(", ")}.`;
  throw new GevulotError("LOG_NOT_FOUND", message, { context: { what: wanted ?? stateDir } });
}

/** Another user's folder is no missing one: that is said. */
function noFolder(error: NodeJS.ErrnoException): string[] {
  if (error.code === "ENOENT") return [];
  throw error;
}

async function showConsoles(args: LogsArgs, what: string): Promise<Output> {
  const { nodes, warnings } = await chooseNodes(args);
  const { follow } = args;
  if (TASK.test(what)) {
    const text = printer<ConsoleText>(args, ({ text }) => safeText(text));
    const isKnown = await untilStopped((signal) => showTask(nodes, what, { follow, signal }, text.show));
    if (isKnown) return { ...text.read(), warnings };
  }
  const found = await findRunOf(nodes, what);
  const { read, show } = printer<ConsoleLine>(args, createLineText(follow));
  const linked = nodes.map(withLink);
  await untilStopped((signal) => readRunConsoles(linked, found.run, { follow, signal }, show));
  const output = read();
  const nothing = output.count === 0 && !args.json ? ["No task of this run has printed anything."] : [];
  return { ...output, lines: [...output.lines, ...nothing], warnings: [...warnings, ...found.warnings] };
}

interface ConsoleText {
  readonly node: string;
  readonly task: string;
  readonly attempt: number;
  readonly text: string;
}

/** The first node that has the task. */
async function showTask(
  nodes: readonly ChosenNode[],
  task: string,
  options: { readonly follow: boolean; readonly signal: AbortSignal },
  show: (line: ConsoleText) => void,
): Promise<boolean> {
  for (const node of nodes) {
    let attempt = 0;
    const cutter = createLineCutter((text) => show({ node: node.name, task, attempt, text }));
    const isKnown = await readTaskConsole(withLink(node).link, task, options, (piece) => {
      attempt = piece.attempt;
      cutter.add(piece.text);
    });
    cutter.end();
    if (isKnown) return true;
  }
  return false;
}

function withLink(node: ChosenNode): ConsoleNode {
  const { name, url, token, client } = node;
  return { name, client, link: createNodeLink({ name, rpcUrl: url, token }) };
}

/** A heading for each attempt, or, where lines of several come by turns, whose it is before each. */
function createLineText(follow: boolean): (line: ConsoleLine) => string {
  let last = "";
  return ({ node, task, step, programName, attempt, text }) => {
    const safe = safeText(text);
    if (follow) return `${node} step ${step} | ${safe}`;
    const heading = `--- step ${step} "${safeName(programName)}" on ${node}, attempt ${attempt} (task ${task})`;
    const line = heading === last ? safe : `${heading}\n${safe}`;
    last = heading;
    return line;
  };
}

/** What is followed is printed as it comes, with --json an envelope a line; else it is one answer. */
function printer<T>(args: LogsArgs, text: (item: T) => string) {
  const kept: T[] = [];
  let count = 0;
  const show = (item: T): void => {
    count++;
    if (args.json && args.follow) printEnvelope(okEnvelope("logs", item));
    else if (args.json) kept.push(item);
    else process.stdout.write(`${text(item)}\n`);
  };
  const read = (): Output & { readonly count: number } => ({ lines: [], data: kept, count });
  return { show, read };
}

/** Ctrl-C ends it in order. */
async function untilStopped<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  void untilSignal().then(() => stop.abort());
  return work(stop.signal);
}
