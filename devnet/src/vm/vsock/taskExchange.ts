import type { ResultFile, ResultMessage, TaskMessage } from "gevulot-shim/wire";

/** One task over VSOCK (protocol section 8): what a VM asks for, and what it hands back. */
export interface TaskExchange {
  /** What a program that takes its task over VSOCK knows it by. */
  readonly txHash: string;
  /** Null once there is a result: a VM has one task. */
  takeTask(): TaskMessage | null;
  /**
   * The first result counts. One that comes again, its answer having been lost, is taken like the first.
   * @returns what is wrong with it, or null.
   */
  submit(message: ResultMessage): string | null;
  /** Whether the VM has asked for its task. */
  readonly isTaken: boolean;
  /** Whether connections of the VM are cut, for tests. */
  readonly isCut: () => boolean;
  /** What the VM handed back; null where it did not do so over VSOCK. */
  readonly submitted: SubmittedResult | null;
}

export type SubmittedResult =
  | { readonly kind: "ok"; readonly data: Uint8Array; readonly files: readonly ResultFile[] }
  /** The program says that it failed; the wire has no room for why. */
  | { readonly kind: "failed" };

/** As much as a result in a file can hold. */
const MAX_DATA_BYTES = 17 * 2 ** 20;
const MAX_FILES = 10_000;
const CHECKSUM_BYTES = 32;

/** @param onStep called when the VM first takes its task, and when it hands back its result */
export function createTaskExchange(
  task: TaskMessage,
  onStep: (step: "taskTaken" | "result") => void = () => {},
  isCut: () => boolean = () => false,
): TaskExchange {
  let isTaken = false;
  let submitted: SubmittedResult | null = null;
  const settle = (result: SubmittedResult): void => {
    if (submitted === null) onStep("result");
    submitted ??= result;
  };
  return {
    txHash: task.txHash,
    isCut,
    takeTask() {
      if (submitted !== null) return null;
      if (!isTaken) onStep("taskTaken");
      isTaken = true;
      return task;
    },
    submit({ txHash, result }) {
      if (txHash !== task.txHash)
        return `this machine's task is ${task.txHash}, and not ${txHash.slice(0, 64)}`;
      if (result.kind === "error") {
        settle({ kind: "failed" });
        return null;
      }
      if (result.data.length > MAX_DATA_BYTES)
        return `${result.data.length} bytes are more than ${MAX_DATA_BYTES}: hand large data over as files`;
      if (result.files.length > MAX_FILES)
        return `${result.files.length} files are more than ${MAX_FILES}: pack them into one`;
      const odd = result.files.find(({ checksum }) => checksum.length !== CHECKSUM_BYTES);
      if (odd)
        return `the checksum of ${odd.path.slice(0, 256)} has ${odd.checksum.length} bytes, BLAKE3 has 32`;
      settle({ kind: "ok", data: result.data, files: result.files });
      return null;
    },
    get isTaken() {
      return isTaken;
    },
    get submitted() {
      return submitted;
    },
  };
}
