import { join } from "node:path";

/** Where it is noted which devnets this user has. */
export function registryDir(env: NodeJS.ProcessEnv, home: string): string {
  return join(env.XDG_STATE_HOME || join(home, ".local", "state"), "gevulot", "devnets");
}
