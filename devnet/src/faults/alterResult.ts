import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { TaskFailure } from "gevulot-sdk";
import { vmPathProblem, workspaceRelative } from "../files/layout.ts";
import type { ProgramResult } from "../result/readResult.ts";
import type { Task } from "../store/tasks.ts";
import type { Chance, FaultSettings } from "./nodeFaults.ts";

type Explained = Extract<ProgramResult, { kind: "ok" }> | TaskFailure;

/** What the node makes of a result where it is to lie; else the result as it is. */
export async function alterResult(
  { tamperProof, lyingVerifier }: FaultSettings,
  task: Pick<Task, "run" | "step" | "kind" | "proof">,
  explained: Explained,
  workspaceDir: string,
): Promise<Explained> {
  const isOk = "kind" in explained;
  if (task.kind === "proof" && isOk && isChosen(tamperProof, task)) {
    return tamper(explained, numberOf(tamperProof as Chance, task), workspaceDir);
  }
  if (task.kind !== "verification" || !isChosen(lyingVerifier, task)) return explained;
  if (lyingVerifier?.says === "valid")
    return isOk ? explained : { kind: "ok", data: new Uint8Array(), files: [] };
  return isOk ? rejection(task.step) : explained;
}

function rejection(step: number): TaskFailure {
  const message = "The verifier rejects the proof (a fault of the devnet: it is told to lie).";
  return { code: "PROGRAM_FAILED", message, step, exitCode: 1, signal: null, consoleTail: "" };
}

/** Flips a bit of the proof and of each file: whatever a verifier looks at is not what the prover made. */
async function tamper(
  result: Extract<ProgramResult, { kind: "ok" }>,
  at: number,
  workspaceDir: string,
): Promise<Explained> {
  const data = Uint8Array.from(result.data);
  if (data.length > 0) data[at % data.length]! ^= 1;
  for (const vmPath of result.files.filter((path) => vmPathProblem(path) === null))
    await flipBit(join(workspaceDir, workspaceRelative(vmPath)), at);
  return { kind: "ok", data, files: result.files };
}

async function flipBit(path: string, at: number): Promise<void> {
  const handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    const { size } = await handle.stat();
    if (size === 0) return;
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at % size);
    byte[0]! ^= 1;
    await handle.write(byte, 0, 1, at % size);
  } finally {
    await handle.close();
  }
}

const SCALE = 2 ** 32;

function isChosen(chance: Chance | undefined, task: Pick<Task, "run" | "step">): boolean {
  return chance !== undefined && numberOf(chance, task) / SCALE < chance.chance;
}

/** The same for the same seed and task, 0 to 2^32 - 1. */
function numberOf({ seed }: Chance, { run, step }: Pick<Task, "run" | "step">): number {
  return createHash("sha256").update(`${seed} ${run} ${step}`).digest().readUInt32BE();
}
