import type { IncomingMessage, ServerResponse } from "node:http";
import { GevulotError } from "gevulot-sdk";
import type { EventStream, EventStreams } from "../events/eventStreams.ts";
import type { LiveNetwork } from "./liveNetwork.ts";
import { type NodeLink, notFound } from "./nodeLink.ts";
import type { Views } from "./readViews.ts";
import { downloadHeaders, relayFile } from "./relayFile.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    EXPLORER_QUERY_INVALID: { name: string };
  }
}

export interface ExplorerApiDeps {
  readonly network: LiveNetwork;
  readonly views: Views;
  readonly streams: EventStreams;
}

export interface ApiCall {
  readonly url: URL;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
}

type Answer = (call: ApiCall, match: readonly string[]) => Promise<unknown>;

const STATES = /^(submitted|proving|verifying|complete|failed)$/;
const HASH = /^[0-9a-f]{64}$/;
const NODE_KEY = /^04[0-9a-f]{128}$/;
const MAX_BEFORE = 128;

/**
 * The answers to `/api/…` and `/files/…`; what one resolves with is sent as JSON, undefined where it has answered itself.
 * @returns null where the path is none of them
 */
export function createExplorerApi(deps: ExplorerApiDeps): (call: ApiCall) => Promise<unknown> | null {
  const { network, views, streams } = deps;
  const json = (read: (query: URLSearchParams, match: readonly string[]) => Promise<unknown>): Answer => {
    return ({ url }, match) => read(url.searchParams, match);
  };
  const routes: readonly (readonly [RegExp, Answer])[] = [
    [/^\/api\/live$/, async ({ response }) => sendLive(network, streams.open(response))],
    [/^\/api\/network$/, json(async () => network.view())],
    [
      /^\/api\/runs$/,
      json((query) => {
        const [state, program] = [parameter(query, "state", STATES), parameter(query, "program", HASH)];
        return views.runs({ ...pageOf(query), state, program });
      }),
    ],
    [/^\/api\/runs\/([0-9a-f]{64})$/, json((_, [hash]) => views.run(hash as string))],
    [/^\/api\/programs$/, json((query) => views.programs(pageOf(query)))],
    [/^\/api\/programs\/([0-9a-f]{64})$/, json((_, [hash]) => views.program(hash as string))],
    [
      /^\/api\/search$/,
      json(async (query) => ({ found: await views.find(parameter(query, "q", /^[0-9a-f]{4,130}$/) ?? "") })),
    ],
    [
      /^\/api\/tasks\/([0-9a-f]{1,32})\/console$/,
      async ({ url, response }, [task]) => {
        const link = await nodeOf(network, parameter(url.searchParams, "node", NODE_KEY) ?? "");
        await relayConsole(link, task as string, response, () => streams.open(response));
      },
    ],
    [
      /^\/files\/results\/([0-9a-f]{64})$/,
      async ({ response }, [hash]) => {
        const bytes = await views.resultBytes(hash as string);
        downloadHeaders(response, `${hash?.slice(0, 12)}.bin`);
        response.end(bytes);
      },
    ],
    [
      /^\/files\/tx\/([0-9a-f]{64}\/[^?]+)$/,
      async ({ request, response }, [path]) =>
        relayFile(network.linksToAsk(), `/txfiles/${path}`, request, response),
    ],
    [
      /^\/files\/images\/([0-9a-f]{64}\/[^/?]+)$/,
      async ({ request, response }, [path]) =>
        relayFile(network.linksToAsk(), `/images/${path}`, request, response),
    ],
  ];
  return (call) => {
    for (const [path, answer] of routes) {
      const match = path.exec(call.url.pathname);
      // Also what is thrown before anything is awaited is the answer's failure.
      if (match) return Promise.resolve().then(() => answer(call, match.slice(1)));
    }
    return null;
  };
}

function pageOf(query: URLSearchParams) {
  const limit = parameter(query, "limit", /^([1-9]\d?|100)$/);
  const before = query.get("before") ?? undefined;
  if (before !== undefined && before.length > MAX_BEFORE) throw invalid("before");
  const node = parameter(query, "node", /^.{1,64}$/);
  return { before, node, ...(limit !== undefined && { limit: Number(limit) }) };
}

function parameter(query: URLSearchParams, name: string, form: RegExp): string | undefined {
  const value = query.get(name);
  if (value === null || value === "") return undefined;
  if (!form.test(value)) throw invalid(name);
  return value;
}

function invalid(name: string): GevulotError {
  const message = `The value of ${name} in the address has not the form that is wanted. Go back to the overview and follow a link from there.`;
  return new GevulotError("EXPLORER_QUERY_INVALID", message, { context: { name } });
}

/** Each page listens to one stream; it asks for what it shows when it hears that there is news. */
function sendLive(network: LiveNetwork, stream: EventStream): void {
  const unsubscribe = network.subscribe({
    network: (view) => stream.send({ name: "network", data: view }),
    runs: (runs) => stream.send({ name: "runs", data: { runs } }),
    programs: () => stream.send({ name: "programs", data: {} }),
  });
  stream.onClose(unsubscribe);
}

/** Only who runs a task has its console. */
async function nodeOf(network: LiveNetwork, publicKey: string): Promise<NodeLink> {
  const { nodes } = network.view();
  const known = nodes.findIndex(({ info }) => info?.publicKey === publicKey);
  if (known >= 0) return network.links[known] as NodeLink;
  for (const link of network.links) {
    const info = await link.call<{ publicKey: string }>("getNodeInfo").catch(() => null);
    if (info?.publicKey === publicKey) return link;
  }
  throw notFound("The node that runs this task is none of those that this explorer shows.");
}

/** A stream is opened only with its first event, so that a refusal is one. */
async function relayConsole(
  link: NodeLink,
  task: string,
  response: ServerResponse,
  open: () => EventStream,
): Promise<void> {
  const stop = new AbortController();
  response.once("close", () => stop.abort());
  let stream: EventStream | null = null;
  try {
    for await (const { name, data } of link.events(`/events/tasks/${task}/console`, stop.signal)) {
      if (response.destroyed) return;
      stream ??= open();
      stream.send({ name, data });
    }
  } catch (error) {
    if (stream === null && !stop.signal.aborted) throw error;
  }
  stream?.end();
}
