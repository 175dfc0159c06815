/** How far a local file has come on its way to the node. */
export interface FileProgress {
  readonly phase: "hashing" | "serving" | "uploading";
  /** The path as it was given; for bytes in memory their name in the VM. */
  readonly file: string;
  readonly bytesDone: number;
  readonly bytesTotal: number;
}

/**
 * Told at each piece of a file, and at its end. What it throws is reported as an event listener's errors are: it does
 * not stop the file.
 */
export type OnProgress = (progress: FileProgress) => void;

/** Told how much of one file has come through. */
export type OnBytes = (bytesDone: number, bytesTotal: number) => void;

/** Undefined where nobody listens. */
export function onBytesOf(
  onProgress: OnProgress | undefined,
  phase: FileProgress["phase"],
  file: string,
): OnBytes | undefined {
  return (
    onProgress &&
    ((bytesDone, bytesTotal) => {
      try {
        onProgress({ phase, file, bytesDone, bytesTotal });
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    })
  );
}
