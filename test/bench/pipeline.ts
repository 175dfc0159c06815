// `npm run bench -- pipeline [tasks] [seconds]`: how much of the ideal speed-up 1, 2, 4 and 8 prover nodes reach on steps that
// sleep, what a task costs beside its own work, and whether a full queue slows the next run. Everything is compared with
// what the same run of the benchmark measures: the bare command in a loop, and the empty queue.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createTaskQueue } from "../../devnet/src/pipeline/schedule/taskQueue.ts";
import {
  createPipelineNet,
  createStageClient,
  quiet,
  type StageClient,
} from "../fixtures/pipeline/pipelineNet.ts";
import { USER } from "../fixtures/pipeline/signRequest.ts";

const [tasks = 64, seconds = 0.25] = process.argv.slice(2).map(Number);
const NODES = [1, 2, 4, 8];
const LOOPS = 8;
const WAITING_RUNS = 1_000;
const TASKS_OF_EACH = 10;
const SPLIT =
  "i=0; while [ $i -lt $(cat {in}/public_input) ]; do echo $i >{out}/segments/.$i; mv {out}/segments/.$i {out}/segments/$i; i=$((i+1)); done; echo 1 >{out}/total_steps";
const shell = (script: string) => ({ command: ["sh", "-c", script] });
const PROVE = `sleep ${seconds}; cp "$1" "$2"`;
const steps = {
  split: shell(SPLIT),
  prove: { command: ["sh", "-c", PROVE, "prove", "{in}/segment", "{out}/receipt"] },
};

/** Seconds of the bare command. */
async function bareSeconds(): Promise<number> {
  const begun = performance.now();
  for (let loop = 0; loop < LOOPS; loop += 1) {
    await once(spawn("sh", ["-c", PROVE, "prove", "/dev/null", "/dev/null"]), "close");
  }
  return (performance.now() - begun) / 1_000 / LOOPS;
}

async function provesOf(
  net: Awaited<ReturnType<typeof createPipelineNet>>,
  client: StageClient,
): Promise<number> {
  const request = { composite_proof: true, public_input_stream: Buffer.from(String(tasks)) };
  const { proof_id: id } = await client.submit(request);
  const end = await client.finished(id!, 600_000);
  if (end.status !== 0) throw new Error(`the run failed: ${end.error_message}`);
  const { rows } = await net.database.query<{ seconds: number }>(
    `select extract(epoch from max(finished_at) - min(started_at))::float8 as seconds
     from prove_task where proof_id = $1 and itype = 2`,
    [id],
  );
  return rows[0]!.seconds;
}

async function measure(count: number, isFull: boolean): Promise<void> {
  await using net = await createPipelineNet();
  const stage = await net.stage();
  for (let node = 0; node < count; node += 1) await net.prover(`node${node}`, stage.addr, { steps });
  if (isFull) await fill(net);
  const client = createStageClient(stage.addr);
  const bare = await bareSeconds();
  const took = await provesOf(net, client);
  client.close();
  const ideal = (tasks * bare) / count;
  const costMs = ((took * count) / tasks - bare) * 1_000;
  const queue = isFull ? `, ${WAITING_RUNS * TASKS_OF_EACH} tasks of ${WAITING_RUNS} runs wait` : "";
  console.log(
    `${count} nodes${queue}: ${took.toFixed(2)} s, ${(ideal / took).toFixed(3)} of ideal, ` +
      `${costMs.toFixed(1)} ms of a node's time for each task beside its ${(bare * 1_000).toFixed(0)} ms`,
  );
}

/** Runs of a kind that no node here can do. */
async function fill(net: Awaited<ReturnType<typeof createPipelineNet>>): Promise<void> {
  await net.database.query(
    `insert into stage_task (id, address, status, step, context, check_at, request_hash, shape)
     select 'waiting' || run, $1, 2, 1, '{"files":{}}', 0, '', '{}' from generate_series(1, ${WAITING_RUNS}) as run`,
    [USER],
  );
  const added = await net.database.query<{ id: string }>(
    `insert into prove_task (id, proof_id, itype, status, content, key, needs, is_queued)
     select gen_random_uuid()::text, 'waiting' || run, 6, 1, '{}', 'single/' || task, '{}', true
     from generate_series(1, ${WAITING_RUNS}) as run, generate_series(1, ${TASKS_OF_EACH}) as task returning id`,
  );
  await using queue = await createTaskQueue({ log: quiet, database: net.database });
  await queue.add(
    net.database,
    added.rows.map(({ id }) => ({ id, kind: "single" as const, priority: 0 })),
  );
}

for (const count of NODES) await measure(count, false);
await measure(8, true);
