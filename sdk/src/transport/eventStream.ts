/** One event of a `text/event-stream`. */
export interface StreamEvent {
  readonly id: string;
  readonly name: string;
  readonly data: string;
}

export interface EventStreamParser {
  /** Gives the events that this piece of text completes. Throws a `RangeError` for one above `maxEventChars`. */
  push(text: string): StreamEvent[];
}

/** Reads the format of Server-Sent Events (HTML standard, section 9.2), piece by piece as it comes. */
export function createEventStreamParser(maxEventChars: number): EventStreamParser {
  let rest = "";
  let id = "";
  let name = "";
  let data: string[] = [];

  const takeLine = (line: string): StreamEvent | null => {
    if (line === "") {
      const event = data.length > 0 ? { id, name: name || "message", data: data.join("\n") } : null;
      name = "";
      data = [];
      return event;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "id") id = value;
    else if (field === "event") name = value;
    else if (field === "data") data.push(value);
    return null;
  };

  return {
    push(text) {
      rest += text;
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      const events = lines.map(takeLine).filter((event) => event !== null);
      if (rest.length + data.reduce((sum, line) => sum + line.length, 0) > maxEventChars) {
        throw new RangeError(`an event of more than ${maxEventChars} characters`);
      }
      return events;
    },
  };
}
