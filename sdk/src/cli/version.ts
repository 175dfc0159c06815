import { readFileSync } from "node:fs";

/** Of this package. yargs would look for it beside whoever started the command. */
export function readVersion(): string {
  const manifest = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
