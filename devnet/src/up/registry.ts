import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { isStateDir } from "./stateDir.ts";
import { type DevnetState, readState } from "./stateFile.ts";

const schema = z.object({ stateDir: z.string(), lastUpAt: z.string() });

/** A devnet of this machine, running or not. */
export interface KnownDevnet {
  /** Of its state folder: the same as long as the folder is there. */
  readonly id: string;
  readonly stateDir: string;
  /** When it was last started, ISO 8601. */
  readonly lastUpAt: string;
  /** Null where it is stopped, or was killed. */
  readonly running: DevnetState | null;
}

/** Of the folder's path: 12 hex digits. */
function devnetId(stateDir: string): string {
  return createHash("sha256").update(stateDir).digest("hex").slice(0, 12);
}

/** Notes that a devnet is in a folder: a file for each, so that nobody waits for anybody. */
export async function registerDevnet(registryDir: string, stateDir: string): Promise<void> {
  await mkdir(registryDir, { recursive: true });
  const file = join(registryDir, `${devnetId(stateDir)}.json`);
  await writeFile(`${file}.new`, JSON.stringify({ stateDir, lastUpAt: new Date().toISOString() }));
  await rename(`${file}.new`, file);
}

/** All devnets of this user that still have their folder, those that run first. Notes of others are removed. */
export async function listDevnets(registryDir: string): Promise<KnownDevnet[]> {
  const names = (await readdir(registryDir).catch(() => [])).filter((name) => name.endsWith(".json"));
  const found = await Promise.all(
    names.map(async (name): Promise<KnownDevnet[]> => {
      const file = join(registryDir, name);
      const note = schema.safeParse(parse(await readFile(file, "utf8").catch(() => "")));
      if (!note.success || !(await isStateDir(note.data.stateDir))) {
        await rm(file, { force: true });
        return [];
      }
      const { stateDir, lastUpAt } = note.data;
      return [{ id: devnetId(stateDir), stateDir, lastUpAt, running: await readState(stateDir) }];
    }),
  );
  const rank = ({ running }: KnownDevnet) => (running === null ? 1 : 0);
  return found.flat().sort((a, b) => rank(a) - rank(b) || b.lastUpAt.localeCompare(a.lastUpAt));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
