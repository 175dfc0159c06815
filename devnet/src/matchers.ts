import {
  type GevulotError,
  isGevulotError,
  type RunHandle,
  type RunStatus,
  type TaskAttempt,
} from "gevulot-sdk";

/** For `toVerify`. */
export interface VerifyOptions {
  /** Default 600,000. */
  readonly timeoutMs?: number;
  /** How many Verifications there must be. Default 1. */
  readonly minVerifications?: number;
}

/** For `toVerifyWithin`: each holds for every task of the Run. */
export interface VerifyLimits extends VerifyOptions {
  /** From the VM's start to its end, for provider `process` the program's. */
  readonly vmTimeMs?: number;
  /** The most memory that the VM held, guest and QEMU; for provider `process` the program. */
  readonly peakMemMib?: number;
  /** Data and files of the result. */
  readonly outputBytes?: number;
}

export interface MatcherResult {
  readonly pass: boolean;
  readonly message: () => string;
}

/** What the matchers look at; `client.run`, `client.prove` and `client.getRun` give it. */
export type VerifiableRun = Pick<RunHandle, "hash" | "result" | "status">;

const DEFAULT_TIMEOUT_MS = 600_000;
const MIB = 2 ** 20;
const MAX_CONSOLE_CHARS = 4_096;

/** Matchers for `expect.extend` of Vitest and Jest. `gevulot-devnet/vitest` adds them by itself. */
export const gevulotMatchers = {
  /** The Run ends well: its Proofs are verified. What failed is told with the console of the task. */
  async toVerify(run: VerifiableRun, options: VerifyOptions = {}): Promise<MatcherResult> {
    const failure = await verify(run, options);
    return {
      pass: failure === null,
      message: () => failure ?? `Run ${run.hash} was verified, and was not to be.`,
    };
  },
  /** As `toVerify`, and no task takes more than this. */
  async toVerifyWithin(run: VerifiableRun, limits: VerifyLimits): Promise<MatcherResult> {
    const failure = await verify(run, limits);
    const excess = failure === null ? excessOf(await run.status(), limits) : [];
    const text = failure ?? `Run ${run.hash} was verified, but ${excess.join("; ")}.`;
    return {
      pass: failure === null && excess.length === 0,
      message: () =>
        failure || excess.length > 0
          ? text
          : `Run ${run.hash} was verified within the limits, and was not to be.`,
    };
  },
};

/** Why it failed, with the console's end; null where it was verified. Throws what says nothing of the Run. */
async function verify(
  run: VerifiableRun,
  { timeoutMs = DEFAULT_TIMEOUT_MS, minVerifications = 1 }: VerifyOptions,
): Promise<string | null> {
  try {
    await run.result({ timeoutMs, minVerifications });
    return null;
  } catch (error) {
    if (!isGevulotError(error, "TASK_FAILED")) throw error;
    return describeFailure(error) ?? error.message;
  }
}

/** The words of a failed task with the end of its console; null for other errors. Also of one that a test runner copied. */
export function describeFailure(error: unknown): string | null {
  const { code, context } = error as Partial<GevulotError<"TASK_FAILED">>;
  if (code !== "TASK_FAILED" || context === undefined) return null;
  const { run, failure } = context;
  const said = failure.consoleTail.trimEnd().slice(-MAX_CONSOLE_CHARS);
  const console = said === "" ? "It wrote nothing to its console." : `The end of its console:\n${said}`;
  return `Run ${run} was not verified: step ${failure.step} failed (${failure.code}): ${failure.message}\n${console}`;
}

function excessOf({ tasks }: RunStatus, { vmTimeMs, peakMemMib, outputBytes }: VerifyLimits): string[] {
  const excess: string[] = [];
  for (const { kind, programName, attempts, state } of tasks) {
    const last = attempts.at(-1);
    if (state !== "done" || last === undefined) continue;
    const check = (what: string, used: number | null, limit: number | undefined, unit: string): void => {
      if (limit === undefined) return;
      const who = `the ${kind} task of ${programName}`;
      if (used === null) excess.push(`${what} of ${who} is not known here`);
      else if (used > limit)
        excess.push(`${who} took ${Math.ceil(used)} ${unit} of ${what}, ${limit} are allowed`);
    };
    const peak = last.peakMemBytes;
    check("VM time", vmTimeOf(last), vmTimeMs, "ms");
    check("memory", peak === null ? null : peak / MIB, peakMemMib, "MiB");
    check("output", last.outputBytes, outputBytes, "bytes");
  }
  return excess;
}

function vmTimeOf({ startedAt, endedAt }: TaskAttempt): number | null {
  return endedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt);
}
