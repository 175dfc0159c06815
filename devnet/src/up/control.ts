import { randomBytes, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { GevulotError } from "gevulot-sdk";
import { closeServer, listen } from "../listen.ts";
import type { Devnet } from "./devnet.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_NO_NODE: { node: number };
    DEVNET_NODE_ACTION: { node: number; action: string };
  }
}

/** What may be done to a node of a running devnet. */
export const NODE_ACTIONS = ["stop", "start", "kill", "pause"] as const;
export type NodeAction = (typeof NODE_ACTIONS)[number];

/** Where the process that runs a devnet takes orders; in its state file, which only its user may read. */
export interface ControlAddress {
  readonly port: number;
  readonly token: string;
}

const TOKEN_BYTES = 32;
const TIMEOUT_MS = 60_000;
const PATH = /^\/nodes\/(\d{1,4})\/(stop|start|kill|pause)$/;

/** Takes orders for nodes from other processes of this user. `onDone` is called after each. */
export async function createControl(
  devnet: Devnet,
  onDone: () => Promise<void>,
): Promise<AsyncDisposable & { readonly address: ControlAddress }> {
  const token = randomBytes(TOKEN_BYTES).toString("hex");
  const server = createServer((request, response) => {
    const answer = (status: number, text: string) => response.writeHead(status).end(text);
    const match = PATH.exec(request.url ?? "");
    if (request.method !== "POST" || !match || !isToken(request.headers.authorization, token)) {
      return void answer(404, "not found");
    }
    const node = devnet.nodes[Number(match[1])];
    if (!node) return void answer(404, "no such node");
    act(node, match[2] as NodeAction)
      .then(onDone)
      .then(
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
  const response = await fetch(`http://127.0.0.1:${address.port}/nodes/${node}/${action}`, {
    method: "POST",
    headers: { authorization: `Bearer ${address.token}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const text = await response.text();
  if (response.status === 404) {
    throw new GevulotError("DEVNET_NO_NODE", `The devnet has no node ${node}; see gevulot-devnet status.`, {
      context: { node },
    });
  }
  if (!response.ok) {
    throw new GevulotError("DEVNET_NODE_ACTION", `Node ${node} did not ${action}: ${text}`, {
      context: { node, action },
    });
  }
}
