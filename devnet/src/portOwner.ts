import { readdir, readFile, readlink } from "node:fs/promises";
import { commandOf } from "./processTable.ts";

const LISTENING = "0A";
const MAX_COMMAND_CHARS = 80;

/**
 * Who listens on a TCP port of this machine, as far as the system tells us: `process 4711 (python3 -m http.server)`.
 * Other users' processes show only to root, and only Linux is asked.
 */
export async function portOwner(port: number): Promise<string> {
  const inodes = await listeningInodes(port);
  const pid = inodes.size === 0 ? undefined : await holderOf(inodes);
  if (pid === undefined) return "another program";
  const command = await commandOf(pid);
  const shown = command.length > MAX_COMMAND_CHARS ? `${command.slice(0, MAX_COMMAND_CHARS)}…` : command;
  return `process ${pid} (${shown})`;
}

async function listeningInodes(port: number): Promise<Set<string>> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`/proc/net/${name}`, "utf8").catch(() => "")),
  );
  const rows = tables.flatMap((table) => table.split("\n").map((line) => line.trim().split(/\s+/)));
  const listening = rows.filter(([, local, , state]) => local?.endsWith(wanted) && state === LISTENING);
  return new Set(listening.map((row) => `socket:[${row[9]}]`));
}

async function holderOf(sockets: ReadonlySet<string>): Promise<number | undefined> {
  for (const pid of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      if (sockets.has(await readlink(`/proc/${pid}/fd/${fd}`).catch(() => ""))) return Number(pid);
    }
  }
  return undefined;
}
