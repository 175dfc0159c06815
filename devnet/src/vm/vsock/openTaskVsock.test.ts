import pino from "pino";
import { expect, test, vi } from "vitest";
import { createStack } from "../../disposeStack.ts";
import { lacksVsock, openTaskVsock } from "./openTaskVsock.ts";
import { createTaskExchange } from "./taskExchange.ts";
import type { VsockHost } from "./vsockHost.ts";

const log = pino({ level: "silent" });
const host: VsockHost = {
  kind: "vhost-device-vsock",
  detail: "/usr/bin/vhost-device-vsock",
  open: () => Promise.reject(new Error("it does not listen after 60 s")),
  async [Symbol.asyncDispose]() {},
};
const exchange = createTaskExchange({ txHash: "", name: "", args: [], files: [] });

test.each([
  ["one that fails this time", host, "it does not listen after 60 s"],
  [
    "a machine without",
    { ...host, kind: "none", detail: "no /dev/vhost-vsock" } as const,
    "no /dev/vhost-vsock",
  ],
])("why there is none: %s", async (_name, vsock, reason) => {
  await using stack = createStack();
  const task = { attemptId: "a", exchange, mark: "", signal: new AbortController().signal };
  const opened = await openTaskVsock(stack, log, vsock, task);
  expect(opened).toEqual({ device: null, problem: reason });
  expect(lacksVsock(opened)).toContain(`not to be had here: ${reason}.`);
});

test("what calls the task off ends the wait for it", async () => {
  await using stack = createStack();
  const { signal } = new AbortController();
  const open = vi.fn(host.open);
  await openTaskVsock(stack, log, { ...host, open }, { attemptId: "a", exchange, mark: "", signal });
  expect(open).toHaveBeenCalledWith(expect.objectContaining({ signal }));
});
