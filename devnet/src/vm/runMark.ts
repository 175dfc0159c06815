/**
 * Who started a VM, and for which workspace. It stands in the command line of QEMU (`-name`) and in the environment
 * of host programs, so that what outlived its node can be told from what another node runs now.
 */
export interface RunMark {
  readonly attemptId: string;
  /** The process that started it. */
  readonly ownerPid: number;
  /** When that process started, by the system's own count: a process id alone comes again. */
  readonly ownerStart: string;
  readonly workspaceDir: string;
}

/** Environment variable of programs run as host processes. */
export const RUN_MARK_VARIABLE = "GEVULOT_RUN_MARK";

const MARK = /^gevulot-([^@]*)@(\d+)\.(\d*)@(\/.*)$/s;

export function formatRunMark(mark: RunMark): string {
  const attemptId = mark.attemptId.replaceAll("@", "_");
  return `gevulot-${attemptId}@${mark.ownerPid}.${mark.ownerStart}@${mark.workspaceDir}`;
}

/** Null for any other text. */
export function parseRunMark(text: string): RunMark | null {
  const [, attemptId, ownerPid, ownerStart, workspaceDir] = MARK.exec(text) ?? [];
  if (attemptId === undefined || ownerStart === undefined || workspaceDir === undefined) return null;
  return { attemptId, ownerPid: Number(ownerPid), ownerStart, workspaceDir };
}
