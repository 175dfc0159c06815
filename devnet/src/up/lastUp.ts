import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const schema = z.object({ words: z.array(z.string()), cwd: z.string() });

/** How a devnet was last started, so that it can be started so again. */
export type LastUp = z.infer<typeof schema>;

const fileOf = (stateDir: string): string => join(stateDir, "up.json");

/** The command line's words may hold a network's passphrase. */
export async function writeLastUp(stateDir: string, last: LastUp): Promise<void> {
  await writeFile(fileOf(stateDir), JSON.stringify(last), { mode: 0o600 });
}

/** Null where none was started, or what is there is not ours. */
export async function readLastUp(stateDir: string): Promise<LastUp | null> {
  try {
    return schema.parse(JSON.parse(await readFile(fileOf(stateDir), "utf8")));
  } catch {
    return null;
  }
}
