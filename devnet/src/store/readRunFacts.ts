import type { TaskFailure } from "gevulot-sdk";
import type { Transaction } from "gevulot-sdk/protocol";
import type { Queryable } from "./database.ts";
import { type CountedProof, readTransaction } from "./readTransactions.ts";
import { readReports } from "./taskReports.ts";

/** What decides whose turn the work of a shared Run is. */
export interface RunFacts {
  readonly run: Transaction;
  readonly assigned: boolean;
  readonly submittedAt: Date;
  /** That count, oldest first. */
  readonly proofs: readonly (CountedProof & { readonly at: Date })[];
  readonly verifications: readonly { readonly proof: string; readonly author: string }[];
  /** Of all nodes that are known, oldest first. */
  readonly failures: readonly WorkFailure[];
  /** What the Run's programs ask for. */
  readonly resources: ReadonlyMap<
    string,
    { readonly memMib: number; readonly cpus: number; readonly gpus: number }
  >;
}

export interface WorkFailure {
  /** The node's public key. */
  readonly author: string;
  readonly step: number;
  /** The Proof that was to be verified; null for a step that proves. */
  readonly proof: string | null;
  readonly failure: TaskFailure;
}

/** @returns null where the Run is not stored here, or not shared. Waits for another decision on the same Run. */
export async function readRunFacts(client: Queryable, run: string, ownKey: string): Promise<RunFacts | null> {
  const shared = await client.query<{ assigned: boolean; at: Date }>(
    `select s.assigned, t.created_at as at from shared_run s join transaction t on t.hash = s.run
     where s.run = $1 for update of s`,
    [run],
  );
  const row = shared.rows[0];
  const tx = await readTransaction(client, run);
  if (!row || tx === null) return null;
  const proofs = await client.query<CountedProof & { at: Date }>(
    "select tx as hash, prover, author, created_at as at from counted_proof where run = $1 order by created_at, tx",
    [run],
  );
  const verifications = await client.query<{ proof: string; author: string }>(
    "select proof, author from counted_verification where run = $1",
    [run],
  );
  const resources = await client.query<{ hash: string; memory: string; cpus: string; gpus: string }>(
    `select r.program_hash as hash, memory, cpus, gpus
     from workflow_step w join program_resource_requirements r on r.program_hash = w.program where w.tx = $1`,
    [run],
  );
  return {
    run: tx,
    assigned: row.assigned,
    submittedAt: row.at,
    proofs: proofs.rows,
    verifications: verifications.rows,
    failures: await readFailures(client, run, ownKey),
    resources: new Map(
      resources.rows.map(({ hash, memory, cpus, gpus }) => {
        return [hash, { memMib: Number(memory), cpus: Number(cpus), gpus: Number(gpus) }];
      }),
    ),
  };
}

async function readFailures(client: Queryable, run: string, ownKey: string): Promise<WorkFailure[]> {
  const own = await client.query<Omit<WorkFailure, "author">>(
    `select step, case when kind = 'verification' then proof end as proof, failure from task
     where run = $1 and state = 'failed' order by ended_at`,
    [run],
  );
  const reported = (await readReports(client, run)).flatMap(({ author, task }) => {
    const { step, kind, proof, state, failure } = task;
    if (author === ownKey || state !== "failed" || failure === null) return [];
    return [{ author, step, proof: kind === "verification" ? proof : null, failure }];
  });
  return [...reported, ...own.rows.map((each) => ({ ...each, author: ownKey }))].filter(
    ({ failure }) => failure.code !== "CANCELLED",
  );
}
