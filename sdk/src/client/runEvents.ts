import { jsonTaskFailure } from "../actions/parseRunStatus.ts";
import { checkMs, checkSignal } from "../context/checkOptions.ts";
import type { ClientContext } from "../context/context.ts";
import { GevulotError, isGevulotError } from "../errors.ts";
import { expectObject, ownField } from "../protocol/json/jsonCodec.ts";
import { parseJson } from "../protocol/json/parseJson.ts";
import type { Hash } from "../protocol/transaction.ts";
import type { TaskFailure } from "../runStatus.ts";
import { cancelled } from "../transport/cancelled.ts";
import { delay } from "../transport/deadline.ts";
import { createEventStreamParser, type StreamEvent } from "../transport/eventStream.ts";
import { reasonOf } from "../transport/openDownload.ts";
import { tokenHeader, tokenRefused, UNAUTHORIZED } from "../transport/tokenRefused.ts";
import { pollRunEvents } from "./pollRunEvents.ts";

export type RunEventName =
  | "submitted"
  | "scheduled"
  | "vm-started"
  | "proving"
  | "proof"
  | "verifying"
  | "verified"
  | "failed";

/** Something that happened to a Run. */
export interface RunEvent {
  readonly name: RunEventName;
  readonly run: Hash;
  /** ISO 8601, UTC. */
  readonly at: string;
  readonly task?: string;
  readonly step?: number;
  readonly attempt?: number;
  readonly proof?: Hash;
  readonly verification?: Hash;
  readonly failure?: TaskFailure;
}

export interface EventsOptions {
  /** How long the node may be away, as while it restarts; default 15 s. */
  readonly unreachableMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

const DEFAULT_UNREACHABLE_MS = 15_000;
const RETRY_MS = 250;
const LAST_EVENTS: readonly string[] = ["verified", "failed"];
/** A failed task's event carries 4 KiB of console. */
const MAX_EVENT_CHARS = 1_048_576;

/**
 * What happens to a Run, from its beginning to `verified` or `failed`; a Run of one step ends with its `proof`. After a
 * cut it goes on where it was. Nodes without the event stream are asked by `getRunStatus`. Throws `CANNOT_REACH_NODE`,
 * `REFUSED` for an unknown Run, `RPC_CALL_INVALID` on nodes that have neither, or `CANCELLED`.
 */
export async function* streamRunEvents(
  context: ClientContext,
  run: Hash,
  options: EventsOptions = {},
): AsyncGenerator<RunEvent, void> {
  const { unreachableMs = DEFAULT_UNREACHABLE_MS, signal = new AbortController().signal } = options;
  checkMs({ unreachableMs });
  checkSignal(signal);
  const url = new URL(`events/runs/${run}`, `${context.transport.url.replace(/\/*$/, "")}/`).href;
  let lastId = "";
  let lastHeard = performance.now();
  for (;;) {
    if (signal.aborted) throw cancelled(`the events of run ${run}`, signal);
    try {
      const headers = {
        accept: "text/event-stream",
        ...tokenHeader(context.files.accessToken),
        ...(lastId && { "last-event-id": lastId }),
      };
      const response = await context.fetch(url, { headers, signal });
      // All was told before the connection was cut.
      if (response.status === 204) return;
      if (response.status === 200) {
        try {
          for await (const event of readEvents(response)) {
            lastId = event.id;
            yield parseEvent(event, run);
            if (LAST_EVENTS.includes(event.name)) return;
          }
        } finally {
          // However long nothing happened: it was there until now.
          lastHeard = performance.now();
        }
        // The node ends the stream with the Run; otherwise the next request says that there is more.
      } else {
        await response.body?.cancel();
        if (response.status === UNAUTHORIZED) throw tokenRefused(url, context.files.accessToken);
        const isMissing = response.status === 404 || response.status === 405;
        if (isMissing) return yield* pollRunEvents(context, run, signal);
        if (performance.now() - lastHeard > unreachableMs) throw away(url, `HTTP ${response.status}`);
      }
    } catch (error) {
      if (signal.aborted) throw cancelled(`the events of run ${run}`, signal);
      if (isGevulotError(error)) throw error;
      if (performance.now() - lastHeard > unreachableMs) throw away(url, reasonOf(error), error);
    }
    await delay(RETRY_MS, signal).catch(() => {});
  }
}

async function* readEvents(response: Response): AsyncGenerator<StreamEvent, void> {
  if (response.body === null) return;
  const parser = createEventStreamParser(MAX_EVENT_CHARS);
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(decoder.decode(value, { stream: true }));
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function parseEvent(event: StreamEvent, run: Hash): RunEvent {
  const fields = expectObject(parseJson(event.data), "");
  const failure = jsonTaskFailure.fromJson(ownField(fields, "failure"), "failure");
  const { failure: _, ...others } = fields as unknown as Omit<RunEvent, "name">;
  return { ...others, name: event.name as RunEventName, run, ...(failure && { failure }) };
}

function away(url: string, reason: string, cause?: unknown): GevulotError<"CANNOT_REACH_NODE"> {
  return new GevulotError(
    "CANNOT_REACH_NODE",
    `Can't reach the node at ${url} for its events: ${reason}. Check that it runs and that the address is right.`,
    { context: { url, method: "events", reason }, cause },
  );
}
