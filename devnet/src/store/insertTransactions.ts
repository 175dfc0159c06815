import {
  DEFAULT_RESOURCES,
  encodeTransaction,
  type PayloadKind,
  type ProgramMetadata,
  type Transaction,
} from "gevulot-sdk/protocol";
import type { Queryable } from "./database.ts";

/**
 * Stores transactions: their wire bytes, and the tables that dashboards read (protocol section 11), one statement a
 * table however many they are. Must run inside one database transaction, only one of this node at a time (two could
 * wait for each other's rows); no hash may be there twice.
 * @returns the hashes that are new; nothing was written of the others.
 */
export async function insertTransactions(
  client: Queryable,
  txs: readonly Transaction[],
): Promise<ReadonlySet<string>> {
  const stored = await client.query<{ hash: string }>(
    `insert into transaction (author, hash, kind, nonce, signature, executed)
     select author, hash, kind::transaction_kind, nonce, signature, false
     from unnest($1::text[], $2::text[], $3::text[], $4::numeric[], $5::text[]) as t(author, hash, kind, nonce, signature)
     on conflict (hash) do nothing returning hash`,
    columns(txs, (tx) => [tx.author, tx.hash, tx.payload.kind.toLowerCase(), String(tx.nonce), tx.signature]),
  );
  const hashes = new Set(stored.rows.map((row) => row.hash));
  const fresh = txs.filter((tx) => hashes.has(tx.hash));
  if (fresh.length === 0) return hashes;
  await client.query(
    "insert into transaction_bytes (hash, bytes) select * from unnest($1::text[], $2::bytea[])",
    columns(fresh, (tx) => [tx.hash, Buffer.from(encodeTransaction(tx))]),
  );
  await insertDeploys(client, only(fresh, "deploy"));
  await insertRuns(client, only(fresh, "run"));
  await insertResults(client, fresh);
  return hashes;
}

async function insertDeploys(client: Queryable, deploys: readonly Transaction<"deploy">[]): Promise<void> {
  if (deploys.length === 0) return;
  // Resources are not part of a program's hash: of two deploys of one program, the first decides them.
  const programs = new Map<string, ProgramMetadata>();
  for (const { payload } of deploys) {
    for (const program of [payload.prover, payload.verifier]) {
      if (!programs.has(program.hash)) programs.set(program.hash, program);
    }
  }
  const inserted = await client.query<{ hash: string }>(
    `insert into program (hash, name, image_file_name, image_file_url, image_file_checksum)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
     on conflict (hash) do nothing returning hash`,
    columns([...programs.values()], (program) => [
      program.hash,
      program.name,
      program.imageFileName,
      program.imageFileUrl,
      program.imageFileChecksum,
    ]),
  );
  const fresh = inserted.rows.map(({ hash }) => programs.get(hash) as ProgramMetadata);
  if (fresh.length > 0) {
    await client.query(
      `insert into program_resource_requirements (program_hash, memory, cpus, gpus)
       select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[])`,
      columns(fresh, ({ hash, resources }) => {
        const { memMib, cpus, gpus } = resources ?? DEFAULT_RESOURCES;
        return [hash, String(memMib), String(cpus), String(gpus)];
      }),
    );
  }
  await client.query(
    `insert into deploy (tx, name, prover, verifier)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])`,
    columns(deploys, ({ hash, payload }) => [hash, payload.name, payload.prover.hash, payload.verifier.hash]),
  );
}

async function insertRuns(client: Queryable, runs: readonly Transaction<"run">[]): Promise<void> {
  const steps = runs.flatMap(({ hash, payload }) =>
    payload.steps.map((step, index) => ({ ...step, tx: hash, sequence: index + 1 })),
  );
  if (steps.length === 0) return;
  const inserted = await client.query<{ id: string; tx: string; sequence: number }>(
    `insert into workflow_step (tx, sequence, program, args)
     select tx, sequence, program, args::varchar[]
     from unnest($1::text[], $2::int[], $3::text[], $4::text[]) as s(tx, sequence, program, args)
     returning id, tx, sequence`,
    columns(steps, (step) => [step.tx, step.sequence, step.program, arrayLiteral(step.args)]),
  );
  const ids = new Map(inserted.rows.map((row) => [`${row.tx} ${row.sequence}`, row.id]));
  const files = steps.flatMap((step) =>
    step.inputs.map((input) => ({ input, id: ids.get(`${step.tx} ${step.sequence}`) })),
  );
  const inputs = files.flatMap(({ input, id }) =>
    input.kind === "input" ? [[id, input.fileName, input.fileUrl, input.checksum]] : [],
  );
  if (inputs.length > 0) {
    await client.query(
      `insert into program_input_data (workflow_step_id, file_name, file_url, checksum)
       select * from unnest($1::bigint[], $2::text[], $3::text[], $4::text[])`,
      columns(inputs, (row) => row),
    );
  }
  const outputs = files.flatMap(({ input, id }) =>
    input.kind === "output" ? [[id, input.fileName, input.sourceProgram]] : [],
  );
  if (outputs.length > 0) {
    await client.query(
      `insert into program_output_data (workflow_step_id, file_name, source_program)
       select * from unnest($1::bigint[], $2::text[], $3::text[])`,
      columns(outputs, (row) => row),
    );
  }
}

/** Proofs before Verifications, as both may be in one commit. */
async function insertResults(client: Queryable, txs: readonly Transaction[]): Promise<void> {
  const proofs = only(txs, "proof").map(({ hash, payload }) => [
    hash,
    payload.parent,
    payload.prover,
    Buffer.from(payload.proof),
  ]);
  const verifications = only(txs, "verification").map(({ hash, payload }) => [
    hash,
    payload.parent,
    payload.verifier,
    Buffer.from(payload.verification),
  ]);
  const keys = only(txs, "proofKey").map(({ hash, payload }) => [
    hash,
    payload.parent,
    Buffer.from(payload.key),
  ]);
  const cancels = only(txs, "cancel").map(({ hash, payload }) => [hash, payload.parent]);
  const files = txs.flatMap(({ hash, payload }) =>
    payload.kind === "proof" || payload.kind === "verification"
      ? payload.files.map((file) => [hash, file.name, file.url, file.checksum])
      : [],
  );
  const inserts: readonly [string, readonly (readonly unknown[])[]][] = [
    ["cancel (tx, run) select * from unnest($1::text[], $2::text[])", cancels],
    [
      "proof (tx, parent, prover, proof) select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[])",
      proofs,
    ],
    [
      "verification (tx, parent, verifier, verification) select * from unnest($1::text[], $2::text[], $3::text[], $4::bytea[])",
      verifications,
    ],
    ["proof_key (tx, parent, key) select * from unnest($1::text[], $2::text[], $3::bytea[])", keys],
    [
      "txfile (tx_id, name, url, checksum) select * from unnest($1::text[], $2::text[], $3::text[], $4::text[])",
      files,
    ],
  ];
  for (const [into, rows] of inserts) {
    if (rows.length > 0)
      await client.query(
        `insert into ${into}`,
        columns(rows, (row) => row),
      );
  }
}

function only<K extends PayloadKind>(txs: readonly Transaction[], kind: K): Transaction<K>[] {
  return txs.filter((tx): tx is Transaction<K> => tx.payload.kind === kind);
}

/** Rows turned into columns, for `unnest`. At least one row. */
function columns<T>(items: readonly T[], rowOf: (item: T) => readonly unknown[]): unknown[][] {
  const rows = items.map(rowOf);
  return (rows[0] ?? []).map((_, column) => rows.map((row) => row[column]));
}

/** An array as Postgres writes one: `unnest` would flatten an array of arrays. */
function arrayLiteral(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/[\\"]/g, "\\$&")}"`).join(",")}}`;
}
