import {
  DEFAULT_RESOURCES,
  encodeTransaction,
  type PayloadOf,
  type ProgramMetadata,
  type Transaction,
} from "gevulot-sdk/protocol";
import type { Queryable } from "./database.ts";

/**
 * Stores a transaction: its wire bytes, and the tables that dashboards read (protocol section 11). Must run inside
 * one database transaction.
 * @returns false where the hash is stored already; nothing was written then.
 */
export async function insertTransaction(client: Queryable, tx: Transaction): Promise<boolean> {
  const inserted = await client.query(
    `insert into transaction (author, hash, kind, nonce, signature, executed) values ($1, $2, $3, $4, $5, $6)
     on conflict (hash) do nothing`,
    [tx.author, tx.hash, tx.payload.kind.toLowerCase(), String(tx.nonce), tx.signature, false],
  );
  if (inserted.rowCount === 0) return false;
  await client.query("insert into transaction_bytes (hash, bytes) values ($1, $2)", [
    tx.hash,
    Buffer.from(encodeTransaction(tx)),
  ]);
  const { payload } = tx;
  if (payload.kind === "deploy") await insertDeploy(client, tx.hash, payload);
  else if (payload.kind === "run") await insertRun(client, tx.hash, payload);
  else if (payload.kind === "proof") {
    await client.query("insert into proof (tx, parent, prover, proof) values ($1, $2, $3, $4)", [
      tx.hash,
      payload.parent,
      payload.prover,
      Buffer.from(payload.proof),
    ]);
    await insertFiles(client, tx.hash, payload);
  } else if (payload.kind === "verification") {
    await client.query(
      "insert into verification (tx, parent, verifier, verification) values ($1, $2, $3, $4)",
      [tx.hash, payload.parent, payload.verifier, Buffer.from(payload.verification)],
    );
    await insertFiles(client, tx.hash, payload);
  } else if (payload.kind === "proofKey") {
    await client.query("insert into proof_key (tx, parent, key) values ($1, $2, $3)", [
      tx.hash,
      payload.parent,
      Buffer.from(payload.key),
    ]);
  }
  return true;
}

async function insertDeploy(client: Queryable, hash: string, deploy: PayloadOf<"deploy">): Promise<void> {
  for (const program of [deploy.prover, deploy.verifier]) await insertProgram(client, program);
  await client.query("insert into deploy (tx, name, prover, verifier) values ($1, $2, $3, $4)", [
    hash,
    deploy.name,
    deploy.prover.hash,
    deploy.verifier.hash,
  ]);
}

/** Resources are not part of a program's hash: of two deploys of one program, the first decides them. */
async function insertProgram(client: Queryable, program: ProgramMetadata): Promise<void> {
  const inserted = await client.query(
    `insert into program (hash, name, image_file_name, image_file_url, image_file_checksum)
     values ($1, $2, $3, $4, $5) on conflict (hash) do nothing`,
    [program.hash, program.name, program.imageFileName, program.imageFileUrl, program.imageFileChecksum],
  );
  if (inserted.rowCount === 0) return;
  const resources = program.resources ?? DEFAULT_RESOURCES;
  await client.query(
    "insert into program_resource_requirements (program_hash, memory, cpus, gpus) values ($1, $2, $3, $4)",
    [program.hash, String(resources.memMib), String(resources.cpus), String(resources.gpus)],
  );
}

async function insertRun(client: Queryable, hash: string, run: PayloadOf<"run">): Promise<void> {
  for (const [index, step] of run.steps.entries()) {
    const inserted = await client.query<{ id: string }>(
      "insert into workflow_step (tx, sequence, program, args) values ($1, $2, $3, $4) returning id",
      [hash, index + 1, step.program, step.args],
    );
    const id = inserted.rows[0]?.id;
    for (const input of step.inputs) {
      if (input.kind === "input") {
        await client.query(
          "insert into program_input_data (workflow_step_id, file_name, file_url, checksum) values ($1, $2, $3, $4)",
          [id, input.fileName, input.fileUrl, input.checksum],
        );
      } else {
        await client.query(
          "insert into program_output_data (workflow_step_id, file_name, source_program) values ($1, $2, $3)",
          [id, input.fileName, input.sourceProgram],
        );
      }
    }
  }
}

async function insertFiles(
  client: Queryable,
  hash: string,
  payload: PayloadOf<"proof"> | PayloadOf<"verification">,
): Promise<void> {
  for (const file of payload.files) {
    await client.query("insert into txfile (tx_id, name, url, checksum) values ($1, $2, $3, $4)", [
      hash,
      file.name,
      file.url,
      file.checksum,
    ]);
  }
}
