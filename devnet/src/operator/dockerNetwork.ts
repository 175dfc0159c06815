import { createHash } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { downAll, type IDockerComposeOptions, upAll, version } from "docker-compose";
import { GevulotError } from "gevulot-sdk";
import { type ComposeOptions, composeFile, composeRpcUrls } from "./composeFile.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    COMPOSE_NOT_FOUND: Record<never, never>;
    COMPOSE_FAILED: { action: string; reason: string };
    COMPOSE_NOT_READY: { url: string };
  }
}

export interface DockerNetwork {
  readonly composeFile: string;
  readonly rpcUrls: readonly string[];
}

export interface DockerNetworkOptions {
  /** Begin without what an earlier one kept. */
  readonly fresh?: boolean;
  readonly readyTimeoutMs?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (message: string) => void;
}

/** An image may have to be fetched before. */
const READY_TIMEOUT_MS = 180_000;
const POLL_MS = 250;
const CALL_TIMEOUT_MS = 5_000;
const SHOWN_LINES = 12;

/** `docker compose`, or compose by itself. */
const EXECUTABLES: readonly NonNullable<IDockerComposeOptions["executable"]>[] = [
  { executablePath: "docker" },
  { standalone: true },
];

/**
 * Starts a network in containers, from a compose file that it writes into `folder`, and waits until each node answers.
 * @throws GevulotError `COMPOSE_NOT_FOUND`, `COMPOSE_FAILED`, `COMPOSE_NOT_READY`
 */
export async function startDockerNetwork(
  folder: string,
  compose: ComposeOptions,
  options: DockerNetworkOptions = {},
): Promise<DockerNetwork> {
  const { onProgress = () => {} } = options;
  const executable = await findCompose();
  const file = composeFileIn(folder);
  await mkdir(folder, { recursive: true });
  await writeFile(file, composeFile(compose));
  if (options.fresh) await stopDockerNetwork(folder, { fresh: true });
  const rpcUrls = composeRpcUrls(compose.nodes);
  try {
    onProgress("starting containers");
    await act("up", () => upAll(composeOptions(folder, executable)));
    for (const [index, url] of rpcUrls.entries()) {
      onProgress(`waiting for node${index} at ${url}`);
      await untilAnswers(url, file, options);
    }
  } catch (error) {
    // Why it did not start is what matters.
    await stopDockerNetwork(folder, { fresh: false }).catch(() => {});
    throw error;
  }
  return { composeFile: file, rpcUrls };
}

/** Stops and removes the containers; with `fresh`, what they kept too. Throws `COMPOSE_NOT_FOUND` and `COMPOSE_FAILED`. */
export async function stopDockerNetwork(
  folder: string,
  { fresh }: { readonly fresh: boolean },
): Promise<void> {
  const options = composeOptions(folder, await findCompose());
  await act("down", () => downAll({ ...options, commandOptions: fresh ? ["--volumes"] : [] }));
}

function composeFileIn(folder: string): string {
  return join(folder, "compose.yaml");
}

/** One project for each folder: its containers and volumes are no other's. */
function composeOptions(
  folder: string,
  executable: NonNullable<IDockerComposeOptions["executable"]>,
): IDockerComposeOptions {
  const id = createHash("sha256").update(resolve(folder)).digest("hex").slice(0, 8);
  return {
    executable,
    config: composeFileIn(folder),
    composeOptions: ["--project-name", `gevulot-${id}`],
    cwd: folder,
  };
}

async function findCompose(): Promise<NonNullable<IDockerComposeOptions["executable"]>> {
  for (const executable of EXECUTABLES) {
    const works = await version({ executable }).then(
      () => true,
      () => false,
    );
    if (works) return executable;
  }
  throw new GevulotError(
    "COMPOSE_NOT_FOUND",
    "Neither `docker compose` nor `docker-compose` works here. Install Docker with its compose plugin, or docker-compose with Podman (systemctl start podman.socket, DOCKER_HOST=unix:///run/podman/podman.sock); or start the devnet without --docker.",
    { context: {} },
  );
}

async function act(action: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const { err, message } = error as { err?: string; message?: string };
    const reason = (err ?? message ?? String(error)).trim().split("\n").slice(-SHOWN_LINES).join("\n");
    throw new GevulotError(
      "COMPOSE_FAILED",
      `compose ${action} failed:\n${reason}\nCheck that the engine runs (docker info), and that it has the images: --image, --postgres-image.`,
      { context: { action, reason }, cause: error },
    );
  }
}

async function untilAnswers(url: string, file: string, options: DockerNetworkOptions): Promise<void> {
  const { readyTimeoutMs = READY_TIMEOUT_MS, signal } = options;
  const giveUpAt = Date.now() + readyTimeoutMs;
  while (!(await answers(url))) {
    signal?.throwIfAborted();
    if (Date.now() > giveUpAt) {
      throw new GevulotError(
        "COMPOSE_NOT_READY",
        `The node at ${url} did not answer within ${readyTimeoutMs / 1_000} s. Look at what its container says: docker compose -f ${file} logs`,
        { context: { url } },
      );
    }
    await delay(POLL_MS, undefined, signal ? { signal } : {});
  }
}

function answers(url: string): Promise<boolean> {
  return fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "getNodeInfo", params: [] }),
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  }).then(
    ({ ok }) => ok,
    () => false,
  );
}
