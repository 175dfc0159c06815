import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { startOf } from "../processTable.ts";
import { claimDevnet } from "./claimDevnet.ts";

test("a node that a killed owner left is ended, also one that is paused; a folder is claimed once", async () => {
  const stateDir = await mkdtemp(join(tmpdir(), "claim-"));
  const left = spawn("sleep", ["60"], { stdio: "ignore" });
  const ended = once(left, "exit");
  try {
    await once(left, "spawn");
    left.kill("SIGSTOP");
    const pid = left.pid as number;
    await mkdir(join(stateDir, "node0"));
    await writeFile(join(stateDir, "node0", "node.lock"), JSON.stringify({ pid, startTime: startOf(pid) }));
    const release = await claimDevnet(stateDir);
    expect(await ended).toEqual([null, "SIGTERM"]);
    await expect(claimDevnet(stateDir)).rejects.toMatchObject({ code: "DEVNET_RUNNING" });
    await release();
    await (await claimDevnet(stateDir))();
  } finally {
    left.kill("SIGKILL");
    await rm(stateDir, { recursive: true });
  }
});
