import type { TaskExchange } from "../vm/vsock/taskExchange.ts";
import { type CollectedFile, OutputFileProblem } from "./collectFiles.ts";
import { type ProgramResult, readResult } from "./readResult.ts";

const NO_REASON =
  "The program said over VSOCK that it failed, and not why; its console may say more. Existing programs have no way to.";

/** What a program handed back: over VSOCK if it did so, else in the workspace. */
export async function takeResult(
  exchange: TaskExchange,
  workspaceDir: string,
  taskId: string,
): Promise<ProgramResult> {
  const { submitted } = exchange;
  // A program may take its task over VSOCK, where it has the transaction's hash for a name, and leave a file all the same.
  const ids = [taskId, exchange.txHash];
  if (submitted === null) return readResult(workspaceDir, ids);
  if (submitted.kind === "failed") {
    // Ours leaves the reason there, for which the wire has no room.
    const left = await readResult(workspaceDir, ids);
    return left.kind === "err" ? left : { kind: "err", message: NO_REASON };
  }
  return {
    kind: "ok",
    data: submitted.data,
    files: submitted.files.map(({ path }) => path),
    checksums: new Map(
      submitted.files.map(({ path, checksum }) => [path, Buffer.from(checksum).toString("hex")]),
    ),
  };
}

/**
 * A file that changed on its way, or after the program looked at it, is not what the program means.
 * @throws OutputFileProblem
 */
export function compareChecksums(
  collected: readonly CollectedFile[],
  checksums: ReadonlyMap<string, string> | undefined,
): void {
  for (const { vmPath, checksum } of collected) {
    const wanted = checksums?.get(vmPath) ?? checksum;
    if (wanted !== checksum)
      throw new OutputFileProblem(
        `The output file "${vmPath}" has the BLAKE3 ${checksum}, and the program says ${wanted}.`,
      );
  }
}
