import { credentials, Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import { pino } from "pino";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createStack } from "../../disposeStack.ts";
import { bindServer } from "../wire/bindServer.ts";
import type { WireNodeBeat, WireNodeHello, WireStageBeat } from "../wire/messages.ts";
import { loadProtos } from "../wire/protos.ts";
import { attendStage } from "./attend.ts";

const { stageNodes } = loadProtos();
const stack = createStack();
afterEach(() => stack[Symbol.asyncDispose]());

describe("attendStage", () => {
  it("says at each registration what is so then", async () => {
    const server = new Server();
    const said: string[] = [];
    server.addService(stageNodes, {
      Attend: (call: ServerDuplexStream<WireNodeBeat, WireStageBeat>) =>
        call.on("data", ({ hello }: WireNodeBeat) => {
          if (!hello) return;
          said.push(hello.base_id);
          call.end();
        }),
    });
    const port = await bindServer(server, "127.0.0.1:0", ServerCredentials.createInsecure());
    stack.defer(async () => server.forceShutdown());
    let baseId = "";
    const readHello = async () => {
      const hello = { node_id: "a", base_id: baseId } as WireNodeHello;
      // The stage begins to work in the folder.
      baseId = "of the stage";
      return hello;
    };
    const deps = {
      ...{ log: pino({ level: "silent" }), stageNodes, credentials: credentials.createInsecure() },
      ...{ running: () => [], isDraining: () => false, onUnwanted: () => {}, onDataAddr: () => {} },
    };
    stack.use(attendStage(deps, `127.0.0.1:${port}`, readHello));
    await vi.waitFor(() => expect(said.slice(0, 2)).toEqual(["", "of the stage"]), { timeout: 20_000 });
  });
});
