import type { Logger } from "pino";
import type { Database } from "../../store/database.ts";
import { type ProofRequest, STEP } from "../admit/proofRequest.ts";
import type { BlobStore } from "../data/blobStore.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import type { ProverVersion } from "../plan/planTasks.ts";
import { findRun, isUnplaced, type NewRun, type PipelineRun } from "../store/runs.ts";
import type { RunDriver } from "./runDriver.ts";
import { placeInputs, requestHash, shapeOf, storeInputs } from "./runInputs.ts";

export interface TakeRunDeps {
  readonly log: Logger;
  readonly database: Database;
  readonly blobs: BlobStore;
  readonly base: SharedBase;
  readonly driver: RunDriver;
}

export interface TakeRunOptions {
  readonly version: ProverVersion;
  readonly baseDir: string;
  /** The stage checks finished proofs. */
  readonly verifies: boolean;
}

/** What is not part of the existing service's request. */
export interface RunTerms {
  readonly address: string;
  readonly priority?: number;
  readonly deadlineSeconds?: number;
}

export type TakenRun =
  /** New, or the same request again, which gets the same answer: e.g. of a client whose first call was cut. */
  | { readonly kind: "taken"; readonly run: Pick<PipelineRun, "id" | "shape"> }
  /** The id is of a run that was asked for otherwise. */
  | { readonly kind: "other" };

/** PostgreSQL's largest integer; more than there are nodes. */
const MAX_STORED = 2 ** 31 - 1;

/** Stores an admitted request's data, and the run with its first tasks. */
export async function takeRun(
  deps: TakeRunDeps,
  options: TakeRunOptions,
  request: ProofRequest,
  { address, priority = 0, deadlineSeconds }: RunTerms,
): Promise<TakenRun> {
  const { database, blobs } = deps;
  const hash = requestHash(request);
  const repeated = (known: PipelineRun): TakenRun =>
    known.requestHash === hash ? { kind: "taken", run: known } : { kind: "other" };
  const known = await findRun(database, request.proofId);
  if (known && !(await isUnplaced(database, known))) return repeated(known);
  const { version, baseDir } = options;
  const run: NewRun = {
    id: request.proofId,
    address,
    step: request.fromStep === STEP.Agg ? STEP.Snark : STEP.Init,
    context: await storeInputs({ blobs, baseDir, version }, request),
    shape: shapeOf(request, version, options.verifies),
    requestHash: hash,
    priority,
    maxProvers: Math.min(request.maxProverNum, MAX_STORED),
    deadlineAt: deadlineSeconds === undefined ? null : new Date(Date.now() + deadlineSeconds * 1_000),
  };
  const given = run.shape.fromAgg ? request.receiptInputs[0] : undefined;
  const inputs = new Map(given ? [["snark", (await blobs.put(given)).hash]] : []);
  // Of two requests with one id at once only the one whose run it is writes into the run's folder.
  const place = (): Promise<void> => placeInputs(deps, run.context);
  if (!(await deps.driver.begin(run, inputs, place))) {
    const other = await findRun(database, run.id);
    // The same request, at once, which failed.
    if (!other) throw new Error("the run's data could not be put in place: submit it again");
    return repeated(other);
  }
  deps.log.info({ run: run.id, user: address, target: run.shape.target }, "a run was taken");
  return { kind: "taken", run };
}
