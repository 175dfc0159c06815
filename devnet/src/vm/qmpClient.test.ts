import type { Duplex } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ProcessGroup, startProcessGroup } from "./processGroup.ts";
import { createQmpClient, type QmpClient, type QmpEvent } from "./qmpClient.ts";

const events: QmpEvent[] = [];
let qemu: ProcessGroup;
let qmp: QmpClient;

beforeAll(async () => {
  const args =
    "-nodefaults -no-user-config -display none -machine none -S -mon chardev=qmp,mode=control".split(" ");
  qemu = await startProcessGroup("qemu-system-x86_64", [...args, "-chardev", "socket,id=qmp,fd=3"], {
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  qmp = createQmpClient(qemu.child.stdio[3] as Duplex, { onEvent: (event) => events.push(event) });
});
afterAll(() => qemu.stop());

test("many commands at once, each with its own answer", async () => {
  const [status, version] = await Promise.all([qmp.execute("query-status"), qmp.execute("query-version")]);
  expect(status).toMatchObject({ running: false });
  expect(version).toMatchObject({ qemu: { major: expect.any(Number) } });
});

test("a command that QEMU does not know is refused with its words", async () => {
  await expect(qmp.execute("no-such-command")).rejects.toMatchObject({
    code: "QMP_FAILED",
    message: expect.stringContaining("no-such-command has not been found"),
    context: { command: "no-such-command", reason: "refused" },
  });
});

test("a caller's signal ends the wait", async () => {
  const wait = qmp.execute("query-status", {}, { signal: AbortSignal.abort() });
  await expect(wait).rejects.toMatchObject({ context: { reason: "aborted" } });
});

test("a QEMU that hangs: the time is up; afterwards its late answer disturbs nobody", async () => {
  process.kill(qemu.pid, "SIGSTOP");
  const wait = qmp.execute("query-status", {}, { timeoutMs: 50 });
  await expect(wait).rejects.toMatchObject({ context: { reason: "timeout" } });
  process.kill(qemu.pid, "SIGCONT");
  expect(await qmp.execute("query-name")).toEqual({});
});

test("QEMU's end is told by an event; commands fail at once then", async () => {
  await qmp.execute("quit");
  await qemu.ended;
  expect(events.map(({ event }) => event)).toContain("SHUTDOWN");
  await expect(qmp.execute("query-status")).rejects.toMatchObject({ context: { reason: "closed" } });
});
