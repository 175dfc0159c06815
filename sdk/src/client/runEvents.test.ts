import type { ServerResponse } from "node:http";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ATTEMPT, FAILURE, ok, statusOf, taskOf } from "../../../test/fixtures/finishedRun.ts";
import { startWireNode, type WireNode } from "../../../test/fixtures/wireNode.ts";
import { generateKey } from "../context/signer.ts";
import { GevulotClient } from "../node/gevulotClient.ts";
import { createEventStreamParser } from "../transport/eventStream.ts";
import type { RunEvent } from "./runEvents.ts";

const RUN = "cc".repeat(32);
const PROOF = "dd".repeat(32);
const AT = "2026-01-01T00:00:00.000Z";

let node: WireNode;
let client: GevulotClient;
beforeEach(async () => {
  node = await startWireNode();
  client = new GevulotClient({ url: node.url, key: generateKey() });
});
afterEach(() => node.close());

const event = (id: number, name: string, more = "") =>
  `id: ${id}\nevent: ${name}\ndata: {"run":"${RUN}","at":"${AT}"${more}}\n\n`;

/** Answers one request after the other; gives the Last-Event-ID of each. */
function answerEvents(...answers: ((response: ServerResponse) => void)[]): (string | undefined)[] {
  const lastIds: (string | undefined)[] = [];
  node.files.set(`/events/runs/${RUN}`, (request, response) => {
    lastIds.push(request.headers["last-event-id"] as string | undefined);
    answers[Math.min(lastIds.length, answers.length) - 1]?.(response);
  });
  return lastIds;
}
const stream = (text: string) => (response: ServerResponse) => {
  response.writeHead(200, { "content-type": "text/event-stream" }).end(text);
};

async function collect(options = {}, onEvent: (event: RunEvent) => unknown = () => {}): Promise<RunEvent[]> {
  const events: RunEvent[] = [];
  for await (const each of client.getRun(RUN).events(options)) {
    events.push(each);
    onEvent(each);
  }
  return events;
}

describe("events of a Run", () => {
  test("come in order, and go on after a cut where they were", async () => {
    let cut = () => {};
    const lastIds = answerEvents(
      (response) => {
        response.writeHead(200);
        response.write(event(1, "submitted") + event(4, "scheduled", ',"step":0'));
        cut = () => response.destroy();
      },
      (response) => response.writeHead(503).end(),
      stream(`:\n\n${event(9, "proof", `,"proof":"${PROOF}"`)}${event(10, "verified")}`),
    );
    // Node.js drops what it has received and not yet handed on when a connection breaks.
    const onEvent = ({ name }: RunEvent) => name === "scheduled" && cut();
    expect(await collect({}, onEvent)).toEqual([
      { name: "submitted", run: RUN, at: AT },
      { name: "scheduled", run: RUN, at: AT, step: 0 },
      { name: "proof", run: RUN, at: AT, proof: PROOF },
      { name: "verified", run: RUN, at: AT },
    ]);
    expect(lastIds).toEqual([undefined, "4", "4"]);
  });

  test("go on after a cut, however long nothing happened before it", async () => {
    const unreachableMs = 100;
    answerEvents(
      (response) => {
        response.writeHead(200).write(event(1, "submitted"));
        setTimeout(() => response.destroy(), 3 * unreachableMs);
      },
      stream(event(10, "verified")),
    );
    expect((await collect({ unreachableMs })).map(({ name }) => name)).toEqual(["submitted", "verified"]);
  });

  test("end where the node says that nothing follows, as for a Run of one step", async () => {
    answerEvents(stream(event(2, "proof")), (response) => response.writeHead(204).end());
    expect((await collect()).map(({ name }) => name)).toEqual(["proof"]);
  });

  test("carry the failure", async () => {
    answerEvents(stream(event(2, "failed", `,"failure":${JSON.stringify(FAILURE)}`)));
    expect(await collect()).toEqual([{ name: "failed", run: RUN, at: AT, failure: FAILURE }]);
  });

  test("are read from getRunStatus where the node has no stream", async () => {
    const running = { ...ATTEMPT, bootedAt: AT, programStartedAt: AT };
    const looks = [
      statusOf(RUN),
      statusOf(RUN, { state: "proving", tasks: [taskOf({ state: "running", attempts: [ATTEMPT] })] }),
      statusOf(RUN, {
        state: "failed",
        tasks: [taskOf({ state: "failed", attempts: [running] })],
        failure: FAILURE,
      }),
    ];
    node.methods.getRunStatus = () => ok(looks.length > 1 ? looks.shift() : looks[0]);
    const names = (await collect()).map(({ name }) => name);
    expect(names).toEqual(["submitted", "scheduled", "vm-started", "proving", "failed"]);
  });

  test("throw for an unknown Run, a node that stays away, and a signal", async () => {
    node.methods.getRunStatus = () => '{"Err":{"NotFound":"x"}}';
    await expect(collect()).rejects.toMatchObject({ code: "REFUSED" });
    answerEvents((response) => response.writeHead(503).end());
    await expect(collect({ unreachableMs: 100 })).rejects.toMatchObject({ code: "CANNOT_REACH_NODE" });
    answerEvents((response) => response.writeHead(200).write(event(1, "submitted")));
    await expect(collect({ signal: AbortSignal.timeout(200) })).rejects.toMatchObject({ code: "CANCELLED" });
  });
});

test("the stream's format, however it is cut", () => {
  const text = ": hello\r\nid: 7\r\nevent: a\r\ndata: one\r\ndata:two\r\n\r\nretry: 5\n\ndata\n\n";
  const expected = [
    { id: "7", name: "a", data: "one\ntwo" },
    { id: "7", name: "message", data: "" },
  ];
  for (let at = 0; at <= text.length; at++) {
    const parser = createEventStreamParser(100);
    const events = [...parser.push(text.slice(0, at)), ...parser.push(text.slice(at))];
    expect(events, `cut at ${at}`).toEqual(expected);
  }
  expect(() => createEventStreamParser(10).push("data: far too long")).toThrow(RangeError);
});
