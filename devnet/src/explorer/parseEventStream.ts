/** A Server-Sent Event whose data is JSON. */
export interface StreamEvent {
  readonly name: string;
  readonly data: unknown;
}

const MAX_EVENT_CHARS = 4 * 2 ** 20;

/** The events of a stream. `onHeard`: something came, be it a heartbeat. */
export async function* parseEventStream(
  body: AsyncIterable<Uint8Array>,
  onHeard: () => void,
): AsyncGenerator<StreamEvent> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of body) {
    onHeard();
    text += decoder.decode(chunk, { stream: true });
    const parts = text.split("\n\n");
    text = parts.pop() ?? "";
    if (text.length > MAX_EVENT_CHARS) throw new Error("an event of the stream is too long");
    for (const part of parts) {
      const name = /^event: (.*)$/m.exec(part)?.[1];
      const data = /^data: (.*)$/m.exec(part)?.[1];
      if (name !== undefined && data !== undefined) yield { name, data: JSON.parse(data) };
    }
  }
}
