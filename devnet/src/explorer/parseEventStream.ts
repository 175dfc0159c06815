import { createEventStreamParser } from "gevulot-sdk/node";

/** A Server-Sent Event whose data is JSON. */
export interface StreamEvent {
  readonly name: string;
  readonly data: unknown;
}

const MAX_EVENT_CHARS = 4 * 2 ** 20;
/** Of an event that says none; a node's events all have theirs. */
const NO_NAME = "message";

/** The events of a stream. `onHeard`: something came, be it a heartbeat. */
export async function* parseEventStream(
  body: AsyncIterable<Uint8Array>,
  onHeard: () => void,
): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  const parser = createEventStreamParser(MAX_EVENT_CHARS);
  for await (const chunk of body) {
    onHeard();
    for (const { name, data } of parser.push(decoder.decode(chunk, { stream: true }))) {
      if (name !== NO_NAME) yield { name, data: JSON.parse(data) };
    }
  }
}
