import type { IncomingMessage, ServerResponse } from "node:http";
import type { Logger } from "pino";
import type { Database } from "../store/database.ts";
import { readRunCourse } from "../store/readRunEvents.ts";
import { deriveRunEvents, type RunEvent, type RunEvents } from "./runEvents.ts";
import type { RunHub } from "./runHub.ts";

export interface EventServer extends AsyncDisposable {
  /** Answers a GET of `/events/…`; false where the path is none of its. */
  serve(request: IncomingMessage, response: ServerResponse): boolean;
}

export interface EventServerOptions {
  /** A comment is sent this often, and the Run is looked at again. Default 15,000. */
  readonly heartbeatMs?: number;
  /** Default 1,024. */
  readonly maxListeners?: number;
}

const DEFAULT_HEARTBEAT_MS = 15_000;
const DEFAULT_MAX_LISTENERS = 1_024;
/** What a listener may leave unread; one that reads no more is cut off, and resumes where it was. */
const MAX_UNREAD_BYTES = 1_048_576;
const RETRY_MS = 1_000;
const RUN_PATH = /^\/events\/runs\/([0-9a-f]{64})$/;

/** Server-Sent Events about Runs. */
export function createEventServer(
  deps: { readonly log: Logger; readonly database: Database; readonly hub: RunHub },
  options: EventServerOptions = {},
): EventServer {
  const { heartbeatMs = DEFAULT_HEARTBEAT_MS, maxListeners = DEFAULT_MAX_LISTENERS } = options;
  const open = new Set<() => void>();
  const read = createSharedReader(deps.database);

  const listen = async (run: string, request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const first = await read(run);
    if (response.destroyed) return;
    if (first === null) return refuse(response, 404, "no such Run");
    const lastId = Number(request.headers["last-event-id"] ?? 0) || 0;
    const stream = createStream(response, lastId);
    if (first.ended && !first.events.some(({ id }) => id > lastId)) {
      // Tells an EventSource not to come back.
      response.writeHead(204).end();
      return;
    }
    stream.open();
    const follow = (): void => {
      read(run).then(
        (now) => now && stream.send(now),
        (error: Error) => {
          deps.log.warn({ reason: error.message }, "an event stream was cut; its listener can resume");
          response.destroy();
        },
      );
    };
    const unsubscribe = deps.hub.subscribe(run, follow);
    const heartbeat = setInterval(() => {
      response.write(":\n\n");
      follow();
    }, heartbeatMs);
    const end = () => response.end();
    open.add(end);
    response.once("close", () => {
      clearInterval(heartbeat);
      unsubscribe();
      open.delete(end);
    });
    stream.send(first);
    // What was stored between the first look and the subscription.
    if (!first.ended) follow();
  };

  return {
    serve(request, response) {
      const path = (request.url ?? "").replace(/\?.*$/, "");
      if (!path.startsWith("/events/")) return false;
      const run = RUN_PATH.exec(path)?.[1];
      if (run === undefined) refuse(response, 404, "no such events: GET /events/runs/<64 hex digits>");
      else if (open.size >= maxListeners) {
        response.setHeader("retry-after", "5");
        refuse(response, 503, "too many listeners; come again in a moment");
      } else {
        listen(run, request, response).catch((error: Error) => {
          deps.log.warn({ reason: error.message }, "an event stream could not be opened");
          refuse(response, 503, "the node can't read its database now; come again in a moment");
        });
      }
      return true;
    },
    async [Symbol.asyncDispose]() {
      for (const end of open) end();
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

function createStream(response: ServerResponse, after: number) {
  let lastId = after;
  let isFirst = true;
  const told = new Set<number>();
  return {
    open() {
      response.writeHead(200, {
        "content-type": "text/event-stream",
        "cache-control": "no-store",
        "x-accel-buffering": "no",
      });
      response.write(`retry: ${RETRY_MS}\n\n`);
    },
    send({ events, ended }: RunEvents) {
      if (response.writableEnded || response.destroyed) return;
      for (const event of events) {
        if (told.has(event.id)) continue;
        told.add(event.id);
        if (isFirst && event.id <= after) continue;
        // Whoever resumes must not hear again what came before an event of a task that runs beside.
        lastId = Math.max(lastId, event.id);
        response.write(toText({ ...event, id: lastId }));
      }
      isFirst = false;
      if (ended) response.end();
      else if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
    },
  };
}

function toText({ id, name, data }: RunEvent): string {
  return `id: ${id}\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

function refuse(response: ServerResponse, status: number, text: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" }).end(`${text}\n`);
}
