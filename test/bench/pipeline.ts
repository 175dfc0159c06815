// `npm run bench -- pipeline [tasks] [seconds] [most nodes] [fewest]`: how much of the ideal speed-up 1, 2, 4 and 8 prover nodes
// reach on simulated work (they wait instead of proving), what a task costs the stage's process (in all, and above what it needs
// at rest), and whether 10,000 waiting tasks of 1,000 runs slow the next run. The ideal is what the same waits take side by side
// in the same run.
import { readFileSync } from "node:fs";
import { copyFile, mkdir, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createStack } from "../../devnet/src/disposeStack.ts";
import { parsePipelineConfig } from "../../devnet/src/pipeline/config.ts";
import { createProver } from "../../devnet/src/pipeline/prover/createProver.ts";
import type { StepRunner } from "../../devnet/src/pipeline/steps/stepRunner.ts";
import { quiet, type StageClient } from "../fixtures/pipeline/pipelineNet.ts";
import { createPipelineProcesses, type PipelineProcesses } from "../fixtures/pipeline/pipelineProcesses.ts";

const [tasks = 64, seconds = 0.25, mostNodes = 8, fewestNodes = 1] = process.argv.slice(2).map(Number);
const NODES = [1, 2, 4, 8].filter((count) => count <= mostNodes && count >= fewestNodes);
const BARE_LOOPS = 4;
const WAITING_RUNS = 1_000;
const TASKS_OF_EACH = 10;
/** A look costs the stage something too; the times are the database's. */
const LOOK_EVERY_MS = 2_000;
const REST_SECONDS = 10;
const LIMIT_MS = 1_800_000;
/** Of Linux's clock in /proc. */
const MS_PER_TICK = 10;

const work = async (from: string, to: string): Promise<void> => {
  await delay(seconds * 1_000);
  await copyFile(from, to);
};

const runStep: StepRunner = async (_step, { input, output }, { facts }) => {
  if (facts.GEVULOT_STEP === "prove") return work(join(input, "segment"), join(output, "receipt"));
  const count = Number(readFileSync(join(input, "public_input"), "utf8"));
  for (let index = 0; index < count; index += 1) {
    await writeFile(join(output, "arriving"), `segment ${index}`);
    await rename(join(output, "arriving"), join(output, "segments", String(index)));
  }
  await writeFile(join(output, "total_steps"), "1");
};

/** Seconds of one task's work where so many are done side by side and nothing else is. */
async function bareSeconds(dir: string, sideBySide: number): Promise<number> {
  await mkdir(dir, { recursive: true });
  await writeFile(join(dir, "from"), "segment");
  const begun = performance.now();
  const loop = async (_: unknown, lane: number): Promise<void> => {
    for (let turn = 0; turn < BARE_LOOPS; turn += 1) await work(join(dir, "from"), join(dir, String(lane)));
  };
  await Promise.all(Array.from({ length: sideBySide }, loop));
  return (performance.now() - begun) / 1_000 / BARE_LOOPS;
}

interface Measured {
  readonly id: string;
  /** Seconds from the request to the first prove's start, from there to the last one's end, and to the run's end. */
  readonly first: number;
  readonly proves: number;
  readonly all: number;
  /** Of the stage's process: all of it, and what is above its rest. */
  readonly cpuMsPerTask: number;
  readonly ownMsPerTask: number;
}

interface Stage {
  readonly pid: number;
  readonly client: StageClient;
}

/** Milliseconds of CPU in a second in which nothing is asked of it. */
async function restMs({ pid }: Stage): Promise<number> {
  const before = cpuMs(pid);
  await delay(REST_SECONDS * 1_000);
  return (cpuMs(pid) - before) / REST_SECONDS;
}

async function measure(net: PipelineProcesses, stage: Stage, restMsPerSecond: number): Promise<Measured> {
  const before = cpuMs(stage.pid);
  const request = { composite_proof: true, public_input_stream: Buffer.from(String(tasks)) };
  const { proof_id: id } = await stage.client.submit(request);
  const end = await stage.client.finished(id!, LIMIT_MS, LOOK_EVERY_MS);
  if (end.status !== 0) throw new Error(`the run failed: ${end.error_message}`);
  const after = cpuMs(stage.pid);
  const { rows } = await net.database.query<Pick<Measured, "first" | "proves" | "all">>(
    `select extract(epoch from min(task.started_at) - min(run.created_at))::float8 as first,
       extract(epoch from max(task.finished_at) - min(task.started_at))::float8 as proves,
       extract(epoch from max(run.finished_at) - min(run.created_at))::float8 as all
     from prove_task as task join stage_task as run on run.id = proof_id where proof_id = $1 and itype = 2`,
    [id],
  );
  const row = rows[0]!;
  const cpu = after - before;
  return {
    id: id!,
    ...row,
    cpuMsPerTask: cpu / tasks,
    ownMsPerTask: (cpu - restMsPerSecond * row.all) / tasks,
  };
}

async function startNodes(net: PipelineProcesses, count: number): Promise<AsyncDisposable> {
  await using stack = createStack();
  for (let index = 0; index < count; index += 1) {
    const text = `addr = "127.0.0.1:0"\nname = "node${index}"\nbase_dir = "${join(net.dir, `node${index}`)}"
stage_addrs = ["${net.addrOf("stage")}"]\n[steps]\nsplit = { command = ["-"] }\nprove = { command = ["-"] }`;
    stack.use(await createProver({ log: quiet, runStep }, parsePipelineConfig(text, "bench.toml", "prover")));
  }
  return stack.move();
}

/** Runs like one that was done, which wait behind every other. */
async function fill(net: PipelineProcesses, like: string, itype: number): Promise<void> {
  const { rowCount } = await net.database.query(
    `with runs as (
       insert into stage_task (id, address, status, step, context, check_at, request_hash, shape, priority, segments_known)
       select 'waiting' || run || '-' || $2::int, address, 2, step, context, 0, '', shape, -1, segments_known
       from stage_task, generate_series(1, ${WAITING_RUNS}) as run where id = $1 returning id)
     insert into prove_task (id, proof_id, itype, status, content, key, needs, input_hash)
     select gen_random_uuid()::text, runs.id, $2::int, 1, content, key, needs, input_hash
     from runs, (select * from prove_task where proof_id = $1 and itype = 2 order by key limit ${TASKS_OF_EACH}) as task`,
    [like, itype],
  );
  if (rowCount !== WAITING_RUNS * TASKS_OF_EACH) throw new Error(`only ${rowCount} tasks wait`);
}

function cpuMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ");
  return (Number(fields[11]) + Number(fields[12])) * MS_PER_TICK;
}

function tell(
  title: string,
  { first, proves, all, cpuMsPerTask, ownMsPerTask }: Measured,
  ideal: number,
): void {
  console.log(
    `${title}: first start after ${first.toFixed(2)} s, end after ${all.toFixed(2)} s; proves ${proves.toFixed(2)} s, ` +
      `${(ideal / proves).toFixed(3)} of ideal; ${cpuMsPerTask.toFixed(1)} ms of the stage's CPU for each task, ` +
      `${ownMsPerTask.toFixed(1)} ms of it above its rest`,
  );
}

await using net = await createPipelineProcesses();
const stage = await net.stage("stage");
let last: Measured | null = null;
for (const count of NODES) {
  await using _nodes = await startNodes(net, count);
  const ideal = ((await bareSeconds(join(net.dir, "bare"), count)) * tasks) / count;
  const rest = await restMs(stage);
  last = await measure(net, stage, rest);
  tell(`${count} nodes`, last, ideal);
  if (count < mostNodes) continue;
  // Of kind 6, which no node here does; then of kind 2, on which the nodes work while nothing else is there.
  await fill(net, last.id, 6);
  tell(
    `${count} nodes, ${WAITING_RUNS * TASKS_OF_EACH} tasks that none can do wait`,
    await measure(net, stage, rest),
    ideal,
  );
  await fill(net, last.id, 2);
  tell(
    `${count} nodes, and ${WAITING_RUNS * TASKS_OF_EACH} that they do when nothing else is there`,
    await measure(net, stage, rest),
    ideal,
  );
}
