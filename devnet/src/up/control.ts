import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { GevulotError } from "gevulot-sdk";
import { closeServer, listen } from "../listen.ts";
import { loadFolder } from "../state/snapshots.ts";
import type { Devnet } from "./devnet.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NO_NODE: { node: number };
    DEVNET_NODE_ACTION: { node: number; action: string };
    DEVNET_ACTION: { action: string };
  }
}

/** What may be done to all of a running devnet. */
const DEVNET_ACTIONS = ["restart", "reset"] as const;
export type DevnetAction = (typeof DEVNET_ACTIONS)[number];

/** What may be done to a node of a running devnet. */
export const NODE_ACTIONS = ["stop", "start", "kill", "pause"] as const;
export type NodeAction = (typeof NODE_ACTIONS)[number];

/** Where the process that runs a devnet takes orders; in its state file, which only its user may read. */
export interface ControlAddress {
  readonly port: number;
  readonly token: string;
}

const TOKEN_BYTES = 32;
/** A node ends, or is there again, well within it. */
const NODE_TIMEOUT_MS = 60_000;
/** Databases of many nodes may have to be filled. */
const DEVNET_TIMEOUT_MS = 280_000;
const PATH = /^\/(?:nodes\/(\d{1,4})\/(stop|start|kill|pause)|(restart|reset)|load\/([\w.-]{1,128}))$/;

/** Takes orders from other processes of this user. `onDone` is called after each. */
export async function createControl(
  devnet: Devnet,
  onDone: () => Promise<void>,
): Promise<AsyncDisposable & { readonly address: ControlAddress }> {
  const token = randomBytes(TOKEN_BYTES).toString("hex");
  // One order after the other.
  let turn: Promise<void> = Promise.resolve();
  const server = createServer((request, response) => {
    const answer = (status: number, text: string) => response.writeHead(status).end(text);
    const [found, number, nodeAction, action, folder] = PATH.exec(request.url ?? "") ?? [];
    if (request.method !== "POST" || !found || !isToken(request.headers.authorization, token)) {
      return void answer(404, "not found");
    }
    const node = devnet.nodes[Number(number)];
    if (nodeAction && !node) return void answer(404, "no such node");
    const order = async () => {
      if (folder !== undefined) await loadFolder(devnet.state, folder);
      else if (node) await act(node, nodeAction as NodeAction);
      else await devnet[action as DevnetAction]();
    };
    const done = turn.then(order);
    turn = done.catch(() => {});
    done.then(onDone).then(
      () => answer(200, ""),
      (error: Error) => answer(500, error.message),
    );
  });
  await listen(server, { host: "127.0.0.1", port: 0, flag: "control" });
  const { port } = server.address() as AddressInfo;
  return { address: { port, token }, [Symbol.asyncDispose]: () => closeServer(server) };
}

async function act(node: Devnet["nodes"][number], action: NodeAction): Promise<void> {
  if (action === "start") await node.start();
  else if (action === "pause") node.pause();
  else await node.kill(action === "kill" ? "SIGKILL" : "SIGTERM");
}

function isToken(header: string | undefined, token: string): boolean {
  const [given, wanted] = [Buffer.from(header ?? ""), Buffer.from(`Bearer ${token}`)];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/** Has the process that runs a devnet do something to a node. Throws `DEVNET_NO_NODE` and `DEVNET_NODE_ACTION`. */
export async function orderNode(address: ControlAddress, node: number, action: NodeAction): Promise<void> {
  const { status, text } = await order(address, `/nodes/${node}/${action}`, NODE_TIMEOUT_MS);
  if (status === 404) {
    throw new GevulotError("DEVNET_NO_NODE", `The devnet has no node ${node}; see gevulot-devnet status.`, {
      context: { node },
    });
  }
  if (status !== 200) {
    throw new GevulotError("DEVNET_NODE_ACTION", `Node ${node} did not ${action}: ${text}`, {
      context: { node, action },
    });
  }
}

/** Has the process that runs a devnet do something to all of it. Throws `DEVNET_ACTION`. */
export async function orderDevnet(address: ControlAddress, action: DevnetAction): Promise<void> {
  const { status, text } = await order(address, `/${action}`, DEVNET_TIMEOUT_MS);
  if (status === 200) return;
  throw new GevulotError(
    "DEVNET_ACTION",
    `The devnet did not ${action}: ${text} Stop it with gevulot-devnet down, and start it again.`,
    { context: { action } },
  );
}

/** Has the process that runs a devnet take the state in a folder of its snapshots. Throws `DEVNET_ACTION`. */
export async function orderLoad(address: ControlAddress, folder: string): Promise<void> {
  const { status, text } = await order(address, `/load/${folder}`, DEVNET_TIMEOUT_MS);
  if (status === 200) return;
  throw new GevulotError("DEVNET_ACTION", `The devnet did not load the state: ${text}`, {
    context: { action: "load" },
  });
}

/** Where the devnet is gone or silent, the status is 0. */
async function order(
  { port, token }: ControlAddress,
  path: string,
  timeoutMs: number,
): Promise<{ status: number; text: string }> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(timeoutMs),
    });
    return { status: response.status, text: await response.text() };
  } catch (error) {
    const isLate = (error as Error).name === "TimeoutError";
    const text = isLate
      ? `its process did not answer within ${timeoutMs / 1_000} s.`
      : "its process can't be reached; it may just have ended.";
    return { status: 0, text };
  }
}
