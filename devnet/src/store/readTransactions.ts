import {
  decodeTransaction,
  type ProgramMetadata,
  type Transaction,
  type TransactionTree,
} from "gevulot-sdk/protocol";
import type { Queryable } from "./database.ts";

/** @returns the transaction as it was signed, or null where the hash is not stored. */
export async function readTransaction(database: Queryable, hash: string): Promise<Transaction | null> {
  const bytes = await readTransactionBytes(database, hash);
  return bytes === null ? null : decodeTransaction(bytes);
}

export async function readTransactionBytes(database: Queryable, hash: string): Promise<Uint8Array | null> {
  const found = await database.query<{ bytes: Buffer }>(
    "select bytes from transaction_bytes where hash = $1",
    [hash],
  );
  const row = found.rows[0];
  return row ? plainBytes(row.bytes) : null;
}

/** As {@link readTransactionBytes}, of many at once; those that are not stored are left out. */
export async function readManyTransactionBytes(
  database: Queryable,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, Uint8Array>> {
  const found = await database.query<{ hash: string; bytes: Buffer }>(
    "select hash, bytes from transaction_bytes where hash = any($1)",
    [hashes],
  );
  return new Map(found.rows.map((row) => [row.hash, plainBytes(row.bytes)]));
}

/** Which of these programs are deployed here. */
export async function readDeployedPrograms(
  database: Queryable,
  hashes: readonly string[],
): Promise<ReadonlyMap<string, true>> {
  const found = await database.query<{ hash: string }>("select hash from program where hash = any($1)", [
    hashes,
  ]);
  return new Map(found.rows.map((row) => [row.hash, true]));
}

/** Slices of a Buffer are Buffers: what is decoded from it would be, too. */
function plainBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}

export async function readProgram(database: Queryable, hash: string): Promise<ProgramMetadata | null> {
  const found = await database.query<{
    name: string;
    image_file_name: string;
    image_file_url: string;
    image_file_checksum: string;
    memory: string;
    cpus: string;
    gpus: string;
  }>(
    `select name, image_file_name, image_file_url, image_file_checksum, memory, cpus, gpus
     from program join program_resource_requirements on program_hash = hash where hash = $1`,
    [hash],
  );
  const row = found.rows[0];
  if (!row) return null;
  return {
    name: row.name,
    hash,
    imageFileName: row.image_file_name,
    imageFileUrl: row.image_file_url,
    imageFileChecksum: row.image_file_checksum,
    resources: { memMib: BigInt(row.memory), cpus: BigInt(row.cpus), gpus: BigInt(row.gpus) },
  };
}

export interface CountedProof {
  readonly hash: string;
  readonly prover: string;
  readonly author: string;
}

/** The Proofs of a Run that later steps may use, oldest first: of a Run that was assigned, those of known nodes. */
export async function readCountedProofs(database: Queryable, run: string): Promise<CountedProof[]> {
  const found = await database.query<CountedProof>(
    "select tx as hash, prover, author from counted_proof where run = $1 order by created_at, tx",
    [run],
  );
  return found.rows;
}

/** As {@link readCountedProofs}, whole. */
export async function readProofs(database: Queryable, run: string): Promise<Transaction<"proof">[]> {
  const found = await database.query<{ bytes: Buffer }>(
    `select b.bytes from counted_proof c join transaction_bytes b on b.hash = c.tx
     where c.run = $1 order by c.created_at, c.tx`,
    [run],
  );
  return found.rows.map((row) => decodeTransaction(plainBytes(row.bytes)) as Transaction<"proof">);
}

/** The Run that a Run, Proof or Verification belongs to; null where the hash is none of these. */
export async function findRun(database: Queryable, hash: string): Promise<string | null> {
  const found = await database.query<{ run: string }>(
    `select hash as run from transaction where hash = $1 and kind = 'run'
     union all select parent from proof where tx = $1
     union all select p.parent from verification v join proof p on p.tx = v.parent where v.tx = $1
     limit 1`,
    [hash],
  );
  return found.rows[0]?.run ?? null;
}

/** Protocol section 5: the Run, its Proofs, and their Verifications, oldest first. */
export async function readTree(database: Queryable, run: string): Promise<TransactionTree> {
  const found = await database.query<{ proof: string; verification: string | null }>(
    `select p.tx as proof, v.tx as verification
     from proof p join transaction pt on pt.hash = p.tx
     left join (verification v join transaction vt on vt.hash = v.tx) on v.parent = p.tx
     where p.parent = $1 order by pt.created_at, p.tx, vt.created_at, v.tx`,
    [run],
  );
  const verificationsOf = new Map<string, string[]>();
  for (const { proof, verification } of found.rows) {
    const list = verificationsOf.get(proof) ?? [];
    if (verification) list.push(verification);
    verificationsOf.set(proof, list);
  }
  return {
    kind: "root",
    hash: run,
    children: [...verificationsOf].map(([proof, verifications]) => ({
      kind: "node",
      hash: proof,
      children: verifications.map((hash) => ({ kind: "leaf", hash })),
    })),
  };
}
