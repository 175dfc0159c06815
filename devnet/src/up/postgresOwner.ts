import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import { claimFolder } from "../claimFolder.ts";
import { commandOf, isAlive } from "../processTable.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    POSTGRES_IN_USE: { readonly dataDir: string; readonly pid: number };
  }
}

const ORPHAN_STOP_MS = 15_000;
const POLL_MS = 20;
/**
 * Takes the database folder for this process, so that two starts don't share one. What a killed owner left is
 * taken over.
 *
 * @returns gives the folder back
 * @throws GevulotError `POSTGRES_IN_USE`
 */
export async function claimDataDir(dataDir: string, ownerFile: string): Promise<() => Promise<void>> {
  return claimFolder(ownerFile, (pid) => inUse(dataDir, pid));
}

function inUse(dataDir: string, pid: number): GevulotError {
  return new GevulotError(
    "POSTGRES_IN_USE",
    `The database folder ${dataDir} is in use by process ${pid}. Stop that one, or choose another folder.`,
    { context: { dataDir, pid } },
  );
}

/**
 * Stops a PostgreSQL of this folder that outlived its owner, and removes its pid file. That file alone proves
 * nothing: after a restart of the machine the number may be another process's, and PostgreSQL would then refuse.
 */
export async function stopOrphan(clusterDir: string, signal?: AbortSignal): Promise<void> {
  const pidFile = join(clusterDir, "postmaster.pid");
  const pid = Number.parseInt(await readFile(pidFile, "utf8").catch(() => ""), 10);
  if (!(pid > 1)) return;
  const isOurs = async () => isAlive(pid) && (await commandOf(pid)).includes(clusterDir);
  if (await isOurs()) {
    process.kill(pid, "SIGINT");
    const deadline = Date.now() + ORPHAN_STOP_MS;
    while (await isOurs()) {
      if (Date.now() > deadline) process.kill(pid, "SIGKILL");
      await delay(POLL_MS, undefined, signal && { signal });
    }
  }
  await rm(pidFile, { force: true });
}
