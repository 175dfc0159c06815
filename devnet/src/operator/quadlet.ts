import { nodeEnvironment, postgresEnvironment } from "./environment.ts";
import { hostFiles } from "./hostFiles.ts";
import { installSteps } from "./installSteps.ts";
import type { OutputFile } from "./outputFiles.ts";
import type { Passthrough } from "./passthrough.ts";
import { ENV_DIR, quadletUnits } from "./quadletUnits.ts";

export interface QuadletOptions {
  /** Of the node. One that begins with `localhost/` is built on the machine. */
  readonly image: string;
  /** `host:port` for peers, as they reach this machine. */
  readonly advertise: string;
  /** Nodes to begin with. */
  readonly discovery: readonly string[];
  readonly whitelistUrl: string | undefined;
  /** On the machine, and in the container. */
  readonly dataDirectory: string;
}

const SECRET_MODE = 0o600;

/**
 * All that a machine needs to run a node and its PostgreSQL under Podman and systemd, as a tree below `/`, with the
 * image's Containerfile and what to do next beside it. The same options give the same text.
 */
export function quadletFiles(
  options: QuadletOptions,
  passthrough: Passthrough,
  containerfile: string,
): OutputFile[] {
  return [
    ...quadletUnits(options, passthrough),
    { path: `${ENV_DIR}/node.env`, content: nodeEnvironment(options, passthrough), mode: SECRET_MODE },
    { path: `${ENV_DIR}/postgres.env`, content: postgresEnvironment(), mode: SECRET_MODE },
    ...hostFiles(passthrough),
    { path: "image/Containerfile", content: containerfile },
    { path: "INSTALL.md", content: installSteps(options, passthrough) },
  ];
}
