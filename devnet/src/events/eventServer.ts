import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Database } from "../store/database.ts";
import { readRunCourse } from "../store/readRunEvents.ts";
import { type FindConsole, followConsole } from "./consoleEvents.ts";
import { createEventStreams, type EventStream } from "./eventStreams.ts";
import { followNode } from "./nodeEvents.ts";
import { createRunCursor, type RunCursor } from "./runCursor.ts";
import { deriveRunEvents, type RunEvents } from "./runEvents.ts";
import type { RunHub } from "./runHub.ts";

export interface EventServer extends AsyncDisposable {
  /** Answers a GET of `/events/…`; false where the path is none of its. */
  serve(request: IncomingMessage, response: ServerResponse): boolean;
}

export interface EventServerDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly hub: RunHub;
  /** What the node says of itself; without it there is no `/events/node`. */
  readonly info?: () => object;
  /** Without it there is no `/events/tasks/…`. */
  readonly findConsole?: FindConsole | null;
}

export interface EventServerOptions {
  /** A comment is sent this often, and the Run is looked at again. Default 15,000. */
  readonly heartbeatMs?: number;
  /** Default 1,024. */
  readonly maxListeners?: number;
}

const DEFAULT_HEARTBEAT_MS = 15_000;
const DEFAULT_MAX_LISTENERS = 1_024;
const RUN_PATH = /^\/events\/runs\/([0-9a-f]{64})$/;
const CONSOLE_PATH = /^\/events\/tasks\/([0-9a-f]{1,32})\/console$/;
const PATHS = "/events/node, /events/runs/<64 hex digits>, /events/tasks/<task's id>/console";

/** Server-Sent Events about Runs, the node itself, and the consoles of its tasks. */
export function createEventServer(deps: EventServerDeps, options: EventServerOptions = {}): EventServer {
  const { database, hub, info, findConsole } = deps;
  const { heartbeatMs = DEFAULT_HEARTBEAT_MS, maxListeners = DEFAULT_MAX_LISTENERS } = options;
  const streams = createEventStreams({ heartbeatMs });
  const read = createSharedReader(database);

  const listenToRun = async (run: string, request: IncomingMessage, response: ServerResponse) => {
    const first = await read(run);
    if (response.destroyed) return;
    if (first === null) return refuse(response, 404, "no such Run");
    const cursor = createRunCursor(request.headers["last-event-id"] as string | undefined);
    if (first.ended && first.events.every(({ id }) => cursor.knows(id))) {
      // Tells an EventSource not to come back.
      response.writeHead(204).end();
      return;
    }
    const follow = (): void => {
      read(run).then(
        (now) => now && send(now),
        (error: Error) => {
          deps.log.warn({ reason: error.message }, "an event stream was cut; its listener can resume");
          response.destroy();
        },
      );
    };
    const stream = streams.open(response, follow);
    const send = createRunSender(stream, cursor);
    stream.onClose(hub.subscribe(run, follow));
    send(first);
    // What was stored between the first look and the subscription.
    if (!first.ended) follow();
  };

  const listenToConsole = async (find: FindConsole, task: string, response: ServerResponse) => {
    if ((await find(task)) === null) return refuse(response, 404, "no such task on this node");
    if (!response.destroyed) followConsole(streams.open(response), () => find(task));
  };

  const route = (path: string, request: IncomingMessage, response: ServerResponse) => {
    const run = RUN_PATH.exec(path)?.[1];
    const task = CONSOLE_PATH.exec(path)?.[1];
    if (run !== undefined) return () => listenToRun(run, request, response);
    if (task !== undefined && findConsole) return () => listenToConsole(findConsole, task, response);
    if (path !== "/events/node" || info === undefined) return null;
    return async () => followNode(streams.open(response), hub, info);
  };

  return {
    serve(request, response) {
      const path = (request.url ?? "").replace(/\?.*$/, "");
      if (!path.startsWith("/events/")) return false;
      const listen = route(path, request, response);
      if (listen === null) refuse(response, 404, `no such events: GET ${PATHS}`);
      else if (streams.count >= maxListeners) {
        response.setHeader("retry-after", "5");
        refuse(response, 503, "too many listeners; come again in a moment");
      } else {
        listen().catch((error: Error) => {
          deps.log.warn({ reason: error.message }, "an event stream could not be opened");
          refuse(response, 503, "the node can't read its database now; come again in a moment");
        });
      }
      return true;
    },
    async [Symbol.asyncDispose]() {
      streams[Symbol.dispose]();
    },
  };
}

/** Those who ask before a look at the database begins share it; who asks later may be told of something newer. */
function createSharedReader(database: Database): (run: string) => Promise<RunEvents | null> {
  const reads = new Map<string, Promise<RunEvents | null>>();
  return (run) => {
    const shared = reads.get(run);
    if (shared) return shared;
    const reading = new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
      reads.delete(run);
      const course = await readRunCourse(database, run);
      return course && deriveRunEvents(run, course);
    });
    reads.set(run, reading);
    return reading;
  };
}

/** Sends of all events those that the listener does not know. */
function createRunSender(stream: EventStream, cursor: RunCursor): (now: RunEvents) => void {
  return (now) => {
    for (const { id, name, data } of now.events) {
      if (!cursor.knows(id)) stream.send({ id: cursor.tell(id, now), name, data });
    }
    if (now.ended) stream.end();
  };
}

function refuse(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
