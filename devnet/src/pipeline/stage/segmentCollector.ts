import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { BlobStore } from "../data/blobStore.ts";
import type { SharedBase } from "../data/sharedBase.ts";
import { DEFERRED_PROOF } from "../runFolder.ts";
import type { PipelineRun } from "../store/runs.ts";
import type { PipelineTask } from "../store/tasks.ts";
import type { WireTaskResponse } from "../wire/messages.ts";
import type { RunDriver } from "./runDriver.ts";
import type { TaskEnd } from "./taskCaller.ts";
import { folderOf, isOfEarlierRelease } from "./taskRequest.ts";

/** A running split. */
export interface Collecting {
  /** Takes what the split left and is not known yet, and ends the task. */
  finish(response: WireTaskResponse): Promise<TaskEnd>;
  stop(): void;
}

export interface SegmentCollector {
  collect(task: PipelineTask, run: PipelineRun, sharesBase: boolean): Collecting;
  /** Whether a split of that id runs here. */
  expects(taskId: string): boolean;
  /** A node sent a segment of its split. Throws where no such split runs here. */
  receive(taskId: string, index: number, hash: string): Promise<void>;
  /** A node sent another file of its split: output_stream, public_values, vk or deferred/0, deferred/1, … */
  receiveFile(taskId: string, name: string, hash: string): Promise<void>;
}

interface Split {
  readonly task: PipelineTask;
  readonly run: PipelineRun;
  /** By number; the run learns of them without gaps. */
  readonly hashes: string[];
  told: number;
  /** What an earlier start of the split brought too, and is not yet compared with that. */
  again: Map<number, string>;
  telling: Promise<void>;
  /** Paths of the deferred proofs that this start sent; null where it leaves them in the folder itself. */
  readonly deferred: Set<string> | null;
}

const MAX_SEGMENTS = 1_000_000;
const LOOKS = 10;
/** As nodes name them that don't leave them in the folder of segments. */
const SENT_DEFERRED = /^deferred\/(\d{1,5})$/;

interface CollectorDeps {
  readonly blobs: BlobStore;
  readonly base: SharedBase;
  readonly driver: RunDriver;
  /** Segments became known: how many the run has so far. */
  readonly onSegments: (count: number) => void;
}

/** Makes a run's segments known while its split runs: from the shared folder, or as the node sends them. */
export function createSegmentCollector(deps: CollectorDeps): SegmentCollector {
  const splits = new Map<string, Split>();
  const find = (taskId: string): Split => {
    const split = splits.get(taskId);
    if (!split) throw new Error(`no split ${taskId} runs at this stage`);
    return split;
  };

  return {
    collect(task, run, sharesBase) {
      // A node that still sends for an earlier process of the stage goes on where that one was.
      const told = run.segments.known;
      const split: Split = {
        ...{ task, run, hashes: [], told, again: new Map(), telling: Promise.resolve() },
        deferred: sharesBase ? null : new Set(),
      };
      splits.set(task.id, split);
      const stopped = new AbortController();
      // Of a split that is repeated the folder holds what the earlier one left: it is read at the end.
      const isFirst = task.attempt <= 1;
      const watching = sharesBase && isFirst ? watch(deps, split, stopped.signal) : Promise.resolve();
      return {
        async finish(response) {
          stopped.abort();
          await watching;
          return finish(deps, split, sharesBase, response);
        },
        stop() {
          stopped.abort();
          // A later start of it may be here already.
          if (splits.get(task.id) === split) splits.delete(task.id);
        },
      };
    },
    expects: (taskId) => splits.has(taskId),
    async receive(taskId, index, hash) {
      const split = find(taskId);
      if (index >= MAX_SEGMENTS) throw new Error(`segment ${index} is beyond the limit of ${MAX_SEGMENTS}`);
      await deps.blobs.place(hash, folderOf(split.run).segment(index));
      note(split, index, hash);
      await tell(deps, split);
    },
    async receiveFile(taskId, name, hash) {
      const { run, deferred: sent } = find(taskId);
      const folder = folderOf(run);
      const paths: Readonly<Record<string, string>> = {
        output_stream: folder.outputStream,
        public_values: folder.publicValues(run.shape.version),
        vk: folder.verifyingKey,
      };
      const deferred = SENT_DEFERRED.exec(name)?.[1];
      const named = Object.hasOwn(paths, name) ? paths[name] : undefined;
      const path = deferred === undefined ? named : folder.deferredProof(Number(deferred));
      if (path === undefined) throw new Error(`a split has no file ${JSON.stringify(name)}`);
      // Before it is there: what starts over meanwhile must not take it for an earlier one.
      if (deferred !== undefined) sent?.add(path);
      await deps.blobs.place(hash, path);
    },
  };
}

function note(split: Split, index: number, hash: string): void {
  split.hashes[index] = hash;
  if (index < split.told) split.again.set(index, hash);
}

/** The run learns of its segments in order, one call at a time. */
function tell(deps: CollectorDeps, split: Split): Promise<void> {
  // What could not be told, as the database was away, is told with the next.
  split.telling = split.telling
    .catch(() => {})
    .then(async () => {
      await compare(deps, split);
      const fresh: string[] = [];
      for (let next = split.told; split.hashes[next] !== undefined; next += 1)
        fresh.push(split.hashes[next]!);
      if (fresh.length === 0) return;
      await deps.driver.addSegments(split.run.id, fresh, split.told);
      split.told += fresh.length;
      deps.onSegments(split.told);
    });
  return split.telling;
}

/** Two splits that go differently can't be mixed: the later counts. */
async function compare(deps: CollectorDeps, split: Split): Promise<void> {
  // As it is now: more comes while the database is asked.
  const again = new Map(split.again);
  if (again.size === 0) return;
  if (!(await deps.driver.hasSegments(split.run.id, again))) await startOver(deps, split);
  // Those that came meanwhile stay.
  for (const [index, hash] of again) if (split.hashes[index] === hash) split.again.delete(index);
}

async function startOver({ base, driver }: CollectorDeps, split: Split): Promise<void> {
  const folder = folderOf(split.run).segments;
  // A node that shares the folder takes away itself what an earlier start left there.
  for (const name of split.deferred ? await base.list(folder) : []) {
    const path = join(folder, name);
    if (DEFERRED_PROOF.test(name) && !split.deferred?.has(path)) await base.remove(path);
  }
  await driver.dropSegments(split.task);
  split.told = 0;
  split.again = new Map();
}

/** @returns the first segment that isn't there; null where all are */
async function readShared(deps: CollectorDeps, split: Split, count: number): Promise<number | null> {
  const folder = folderOf(split.run);
  for (let index = split.hashes.length; index < count; index += 1) {
    if (!(await deps.base.fetch(folder.segment(index)))) return index;
    note(split, index, (await deps.blobs.putFile(folder.segment(index))).hash);
  }
  await tell(deps, split);
  return null;
}

async function watch(deps: CollectorDeps, split: Split, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const { segmentCount } = folderOf(split.run);
    await deps.base.fetch(segmentCount).catch(() => {});
    const text = await readFile(segmentCount, "utf8").catch(() => "");
    const count = Number.parseInt(text, 10);
    if (count > split.hashes.length && count <= MAX_SEGMENTS) {
      // A count that runs ahead of its file is looked at again.
      await readShared(deps, split, count).catch(() => {});
    }
    await delay(deps.base.lookEveryMs, undefined, { signal }).catch(() => {});
  }
}

/** Another machine's file may be seen late on NFS. */
async function readWhole(deps: CollectorDeps, split: Split, total: number): Promise<number | null> {
  for (let looks = 1; ; looks += 1) {
    const lacking = await readShared(deps, split, total);
    if (lacking === null || looks === LOOKS) return lacking;
    await delay(deps.base.lookEveryMs);
  }
}

/** Takes what the split left and is not known yet. */
async function finish(
  deps: CollectorDeps,
  split: Split,
  sharesBase: boolean,
  response: WireTaskResponse,
): Promise<TaskEnd> {
  const totalSteps = BigInt(response.total_steps ?? 0);
  const total = response.total_segments ?? 0;
  const failed = (reason: string): TaskEnd => ({ kind: "failed", reason });
  if (totalSteps === 0n) return failed("the split answered without steps");
  if (total === 0 && split.run.shape.target !== "split") return failed("the split made no segments");
  if (total > MAX_SEGMENTS) return failed(`the split made ${total} segments; the limit is ${MAX_SEGMENTS}`);
  const lacking = sharesBase ? await readWhole(deps, split, total) : null;
  if (lacking !== null)
    return failed(`the split says that it made ${total} segments, but segment ${lacking} is not in base_dir`);
  await tell(deps, split);
  // Also those of an earlier attempt: a node that did the split before a crash does not send them again.
  const countKnown = () => deps.driver.addSegments(split.run.id, [], 0);
  let known = await countKnown();
  if (known > total && split.hashes.length === total && !split.hashes.includes(undefined!)) {
    // An earlier start of the split brought more.
    await startOver(deps, split);
    await tell(deps, split);
    known = await countKnown();
  }
  if (known !== total) return failed(`the split says that it made ${total} segments, but ${known} are there`);
  const { version, target } = split.run.shape;
  const needsKey = version === "zkm2" && (target === "agg" || target === "snark");
  if (needsKey && !(await deps.base.fetch(folderOf(split.run).verifyingKey)))
    return failed("the split left no vk, with which its proofs are aggregated");
  const deferred =
    needsKey && !isOfEarlierRelease(split.run) ? await takeDeferred(deps, split.run) : undefined;
  const { hash, bytes } = await deps.blobs.put(new TextEncoder().encode(`${total}\n`));
  return { kind: "done", output: { hash, bytes, segments: total, totalSteps, deferred } };
}

/** SHA-256 of what the split left for proofs of other runs, in order; each becomes a leaf. */
async function takeDeferred({ base, blobs }: CollectorDeps, run: PipelineRun): Promise<string[]> {
  if (run.context.receipt_inputs_path === "") return [];
  const folder = folderOf(run).segments;
  const numbers = (await base.list(folder)).flatMap((name) => DEFERRED_PROOF.exec(name)?.[1] ?? []);
  const hashes: string[] = [];
  for (const number of numbers.sort((left, right) => Number(left) - Number(right))) {
    const path = join(folder, `deferred_proof_${number}`);
    await base.fetch(path);
    hashes.push((await blobs.putFile(path)).hash);
  }
  return hashes;
}
