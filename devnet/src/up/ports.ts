import { randomInt } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { GevulotError } from "gevulot-sdk";
import { z } from "zod";
import { portOwner } from "../portOwner.ts";

declare module "gevulot-sdk/errors" {
  interface ErrorContexts {
    DEVNET_PORT_TAKEN: { port: number; option: string };
  }
}

/** The ports of a node by default, as the existing network has them. */
export const DEFAULT_PORTS = { rpc: 9944, http: 9995, p2p: 9999 } as const;

/**
 * Below those that systems give to whoever asks for any (from 32,768 on Linux, 49,152 elsewhere): who is stopped finds its
 * port free when it is started again.
 */
const FREE_PORTS = { first: 20_000, last: 31_999 } as const;
const FREE_PORT_TRIES = 100;

/** 0: the system gives any. */
export interface Ports {
  readonly rpc: number;
  readonly http: number;
  readonly p2p: number;
}

const WHAT = { rpc: "JSON-RPC", http: "files", p2p: "peers" } as const;
const KINDS = ["rpc", "http", "p2p"] as const;

export interface PortWishes {
  /** These, or an error. */
  readonly asked?: Partial<Ports> | undefined;
  /** The file that says what the node had last time. */
  readonly file: string;
  /** Those that everybody knows, where they are free. */
  readonly defaults: boolean;
}

/**
 * The ports for a node: those asked for, else those that it had last time, else the default ones, else any. A wish that
 * can't be met is a warning.
 *
 * @throws GevulotError `DEVNET_PORT_TAKEN`
 */
export async function choosePorts(wishes: PortWishes, warnings: string[]): Promise<Ports> {
  const last = await readPorts(wishes.file);
  const choose = async (kind: (typeof KINDS)[number]): Promise<number> => {
    const asked = wishes.asked?.[kind];
    if (asked !== undefined) {
      await requireFreePort(asked, `--${kind}-port`);
      return asked;
    }
    const wished = last?.[kind] ?? (wishes.defaults ? DEFAULT_PORTS[kind] : undefined);
    if (wished === undefined) return freePort();
    if (await isPortFree(wished)) return wished;
    warnings.push(
      `port ${wished} (${WHAT[kind]}) is taken by ${await portOwner(wished)}; a free one is used`,
    );
    return 0;
  };
  const [rpc, http, p2p] = await Promise.all(KINDS.map(choose));
  return { rpc, http, p2p } as Ports;
}

export async function writePorts(file: string, ports: Ports): Promise<void> {
  await writeFile(file, JSON.stringify(ports));
}

const portNumber = z.number().int().min(1).max(65_535);
const schema = z.object({ rpc: portNumber, http: portNumber, p2p: portNumber });

async function readPorts(file: string): Promise<Ports | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(file, "utf8")));
  } catch {
    return undefined;
  }
}

/** Throws `DEVNET_PORT_TAKEN`. */
export async function requireFreePort(port: number, option: string): Promise<void> {
  if (await isPortFree(port)) return;
  throw new GevulotError(
    "DEVNET_PORT_TAKEN",
    `Port ${port} is in use by ${await portOwner(port)}. Stop that program, give another ${option}, or none for a free port.`,
    { context: { port, option } },
  );
}

/** One of {@link FREE_PORTS}; 0 where none of them was found free. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < FREE_PORT_TRIES; attempt++) {
    const port = randomInt(FREE_PORTS.first, FREE_PORTS.last + 1);
    if (await isPortFree(port)) return port;
  }
  return 0;
}

/** Whether a port of this machine can be listened on now. */
export async function isPortFree(port: number, host = "127.0.0.1"): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
