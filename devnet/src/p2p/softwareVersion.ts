import { readFileSync } from "node:fs";
import type { Diagnostics } from "./wire/message.ts";

/** This package's version, as peers are told it. */
export function readSoftwareVersion(): Extract<Diagnostics, { kind: "version" }> {
  const manifest = new URL("../../package.json", import.meta.url);
  const { name, version } = JSON.parse(readFileSync(manifest, "utf8")) as { name: string; version: string };
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).slice(0, 3).map(Number);
  return { kind: "version", major, minor, patch, build: name };
}
