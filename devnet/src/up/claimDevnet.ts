import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { GevulotError } from "gevulot-sdk";
import { claimFolder, type Owner, readClaim } from "../claimFolder.ts";
import { startOf } from "../processTable.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_RUNNING: { stateDir: string; pid: number };
  }
}

const END_TIMEOUT_MS = 10_000;
/** The kernel may keep a process that waits for a disk. */
const KILL_TIMEOUT_MS = 10_000;
const POLL_MS = 20;

const lockOf = (stateDir: string): string => join(stateDir, "devnet.lock");

/**
 * Takes a devnet's folder for this process, and ends the nodes that an owner who was killed may have left.
 *
 * @returns gives it back
 * @throws GevulotError `DEVNET_RUNNING`
 */
export async function claimDevnet(stateDir: string): Promise<() => Promise<void>> {
  const release = await claimFolder(lockOf(stateDir), (pid) => devnetRunning(stateDir, pid));
  try {
    const names = (await readdir(stateDir)).filter((name) => /^node\d+$/.test(name));
    await Promise.all(names.map((name) => endLeftNode(stateDir, name)));
    return release;
  } catch (error) {
    await release();
    throw error;
  }
}

/** The process that starts, runs or stops the devnet of a folder. */
export function devnetOwner(stateDir: string): Promise<Owner | null> {
  return readClaim(lockOf(stateDir));
}

export function devnetRunning(stateDir: string, pid: number, rpcUrl?: string): GevulotError {
  const where = rpcUrl === undefined ? "it starts or stops" : `RPC ${rpcUrl}`;
  return new GevulotError(
    "DEVNET_RUNNING",
    `A devnet runs here already (process ${pid}, ${where}). Use it, or stop it with: gevulot-devnet down`,
    { context: { stateDir, pid } },
  );
}

async function endLeftNode(stateDir: string, name: string): Promise<void> {
  const owner = await readClaim(join(stateDir, name, "node.lock"));
  if (owner === null) return;
  const isThere = () => startOf(owner.pid) === owner.startTime;
  const signal = (name: NodeJS.Signals) => isThere() && process.kill(owner.pid, name);
  // One that was paused hears nothing else.
  signal("SIGCONT");
  signal("SIGTERM");
  const killAt = Date.now() + END_TIMEOUT_MS;
  while (isThere()) {
    if (Date.now() > killAt) signal("SIGKILL");
    if (Date.now() > killAt + KILL_TIMEOUT_MS) throw nodeLeft(stateDir, name, owner.pid);
    await delay(POLL_MS);
  }
}

function nodeLeft(stateDir: string, name: string, pid: number): GevulotError {
  return new GevulotError(
    "DEVNET_RUNNING",
    `${name} of an earlier devnet (process ${pid}) does not end, even killed. See what it waits for, or use another --state-dir.`,
    { context: { stateDir, pid } },
  );
}
