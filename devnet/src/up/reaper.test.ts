import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, realpath, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { isAlive } from "../processTable.ts";
import { createReaper } from "./reaper.ts";

const LOOK = { timeout: 15_000, interval: 20 };

let dir: string;
beforeEach(async () => {
  dir = await realpath(await mkdtemp(join(tmpdir(), "reaper-")));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

function sleeper(env: Record<string, string> = {}): ChildProcess & { pid: number } {
  return spawn("sleep", ["600"], {
    detached: true,
    stdio: "ignore",
    env: { ...process.env, ...env },
  }) as never;
}

/** A process that has a reaper, as its source, and says the reaper's number. */
async function owner(lines: string): Promise<ChildProcess & { pid: number }> {
  const source = fileURLToPath(new URL("./reaper.ts", import.meta.url));
  const code = `const { createReaper } = await import(${JSON.stringify(source)});
    const reaper = createReaper(); ${lines}
    setInterval(() => {}, 1000); console.log(reaper.pid);`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TSX_DISABLE_CACHE: "1" },
  });
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  return child as never;
}

test("after a SIGKILL it ends processes of its owner it ends processes, one that is stopped too, and removes folders", async () => {
  const plain = sleeper();
  const stopped = sleeper();
  process.kill(stopped.pid, "SIGSTOP");
  const program = sleeper({ GEVULOT_RUN_MARK: `gevulot-x@1.1@${dir}/node0/workspaces/x` });
  const other = sleeper();
  try {
    const held = await owner(
      `reaper.watch(${stopped.pid}); reaper.watchWorkspaces(${JSON.stringify(dir)}); reaper.removeLater(${JSON.stringify(dir)});`,
    );
    held.kill("SIGKILL");
    await expect.poll(() => isAlive(stopped.pid), LOOK).toBe(false);
    await expect.poll(() => isAlive(program.pid), LOOK).toBe(false);
    await expect.poll(() => stat(dir).catch(() => null), LOOK).toBeNull();
    expect([isAlive(plain.pid), isAlive(other.pid)]).toEqual([true, true]);
  } finally {
    for (const one of [plain, stopped, program, other]) one.kill("SIGKILL");
  }
});

test("after an orderly end it touches nothing", async () => {
  const watched = sleeper();
  try {
    const reaper = createReaper();
    reaper.watch(watched.pid);
    reaper.removeLater(dir);
    const { pid } = reaper;
    await reaper[Symbol.asyncDispose]();
    await reaper[Symbol.asyncDispose]();
    expect([isAlive(pid!), isAlive(watched.pid)]).toEqual([false, true]);
    expect((await stat(dir)).isDirectory()).toBe(true);
  } finally {
    watched.kill("SIGKILL");
  }
});

test("killed itself, it is started again and knows all", async () => {
  await using reaper = createReaper();
  const first = reaper.pid!;
  process.kill(first, "SIGKILL");
  await expect.poll(() => reaper.pid, LOOK).not.toBe(first);
  expect(isAlive(reaper.pid!)).toBe(true);
});
