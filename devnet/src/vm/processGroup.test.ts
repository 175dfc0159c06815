import type { SpawnOptions } from "node:child_process";
import { expect, test } from "vitest";
import { startOf } from "../processTable.ts";
import { startProcessGroup } from "./processGroup.ts";

const IGNORE: SpawnOptions = { stdio: "ignore" };
const PIPED: SpawnOptions = { stdio: ["ignore", "pipe", "ignore"] };

test("tells exit code and signal", async () => {
  const exits = await startProcessGroup("sh", ["-c", "exit 7"], IGNORE);
  expect(await exits.ended).toEqual({ pid: exits.pid, exitCode: 7, signal: null });
  const dies = await startProcessGroup("sh", ["-c", "kill -SEGV $$"], IGNORE);
  expect(await dies.ended).toEqual({ pid: dies.pid, exitCode: null, signal: "SIGSEGV" });
});

test("a command that isn't there", async () => {
  await expect(startProcessGroup("/nonexistent/program", [], IGNORE)).rejects.toMatchObject({
    code: "ENOENT",
  });
});

test("everything written is there when it has ended", async () => {
  const group = await startProcessGroup("sh", ["-c", "head -c 300000 /dev/zero"], PIPED);
  let bytes = 0;
  group.child.stdout?.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await group.ended;
  expect(bytes).toBe(300_000);
});

test("asked kindly, nothing else is done", async () => {
  const group = await startProcessGroup(
    "sh",
    ["-c", "trap 'exit 9' USR1; echo ready; while :; do sleep 0.02; done"],
    PIPED,
  );
  await new Promise((resolve) => group.child.stdout?.once("data", resolve));
  await group.stop(async () => process.kill(group.pid, "SIGUSR1"));
  expect(await group.ended).toMatchObject({ exitCode: 9, signal: null });
});

test("one that takes no SIGTERM is killed, once, however often it is stopped", async () => {
  const script = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
  const group = await startProcessGroup("sh", ["-c", script], PIPED);
  await new Promise((resolve) => group.child.stdout?.once("data", resolve));
  await Promise.all([group.stop(), group.stop(() => Promise.reject(new Error("refused")))]);
  expect(await group.ended).toMatchObject({ signal: "SIGKILL" });
});

test("what the leader started ends with it", async () => {
  const group = await startProcessGroup("sh", ["-c", "sleep 300 & echo $!"], PIPED);
  const child = Number(await new Promise((resolve) => group.child.stdout?.once("data", resolve)));
  await group.ended;
  expect(child).toBeGreaterThan(1);
  await expect.poll(() => startOf(child)).toBeNull();
});

test("what left the group does not hold up its end, nor this process's own", async () => {
  const script = "setsid sh -c 'echo $$; exec sleep 60' & sleep 0.5; exit 3";
  const group = await startProcessGroup("sh", ["-c", script], PIPED);
  const { stdout } = group.child;
  const left = Number(await new Promise((resolve) => stdout?.once("data", resolve)));
  try {
    expect(await group.ended).toMatchObject({ exitCode: 3 });
    expect(startOf(left)).not.toBeNull();
    expect(stdout?.destroyed).toBe(true);
  } finally {
    process.kill(left, "SIGKILL");
  }
});
