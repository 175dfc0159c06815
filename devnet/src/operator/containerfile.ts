import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

/** The images' recipe, as it comes with this package. */
export const CONTAINERFILE = fileURLToPath(new URL("../../containers/Containerfile", import.meta.url));

export function readContainerfile(): Promise<string> {
  return readFile(CONTAINERFILE, "utf8");
}
