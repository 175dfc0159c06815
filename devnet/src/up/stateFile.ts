import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { startOf } from "../processTable.ts";
import type { ControlAddress } from "./control.ts";
import type { Devnet } from "./devnet.ts";

const text = z.string();
const schema = z.object({
  pid: z.number().int(),
  /** Tells the process from a later one with the same id. */
  processStart: text,
  warnings: z.array(text),
  /** Where the process takes orders. */
  control: z.object({ port: z.number().int(), token: text }),
  data: z.object({
    stateDir: text,
    nodes: z.array(
      z.object({
        name: text,
        rpcUrl: text,
        httpUrl: text,
        p2pAddress: text,
        publicKey: text,
        vsock: text.nullable(),
        pid: z.number().int().nullable(),
        databaseUrl: text,
      }),
    ),
    accounts: z.array(z.object({ publicKey: text, secretKey: text, keyFile: text })),
    explorerUrl: text.nullable().default(null),
  }),
});

/** What a running devnet says of itself to `status` and `down`. */
export type DevnetState = z.infer<typeof schema>;

const fileOf = (stateDir: string): string => join(stateDir, "devnet.json");

export function describeDevnet(devnet: Devnet): DevnetState["data"] {
  const nodes = devnet.nodes.map((node) => {
    const { name, rpcUrl, httpUrl, p2pAddress, publicKey, vsock, pid, databaseUrl } = node;
    return { name, rpcUrl, httpUrl, p2pAddress, publicKey, vsock, pid, databaseUrl };
  });
  const { stateDir, accounts, explorerUrl } = devnet;
  return { stateDir, nodes, accounts: [...accounts], explorerUrl };
}

export async function writeState(devnet: Devnet, control: ControlAddress): Promise<void> {
  const state: DevnetState = {
    pid: process.pid,
    processStart: startOf(process.pid) ?? "",
    warnings: [...devnet.warnings],
    control,
    data: describeDevnet(devnet),
  };
  const file = fileOf(devnet.stateDir);
  // The database's password is in it.
  await writeFile(`${file}.new`, JSON.stringify(state), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

export async function removeState(stateDir: string): Promise<void> {
  await rm(fileOf(stateDir), { force: true });
}

/** The devnet of a state folder, or null where none runs; what a killed one left is not taken for a running one. */
export async function readState(stateDir: string): Promise<DevnetState | null> {
  const raw = await readFile(fileOf(stateDir), "utf8").catch(() => null);
  if (raw === null) return null;
  const parsed = schema.safeParse(parse(raw));
  return parsed.success && isRunning(parsed.data) ? parsed.data : null;
}

export function isRunning(state: Pick<DevnetState, "pid" | "processStart">): boolean {
  return startOf(state.pid) === state.processStart;
}

function parse(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return null;
  }
}
