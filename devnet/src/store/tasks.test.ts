import { createProgramMetadata, type Payload, signTransaction } from "gevulot-sdk/protocol";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { insertTransactions } from "./insertTransactions.ts";
import { readQueuedTasks } from "./tasks.ts";

let nonce = 0n;
const sign = <P extends Payload>(payload: P) =>
  signTransaction({ payload, nonce: nonce++, secretKey: new Uint8Array(32).fill(9) });
const program = (name: string) =>
  createProgramMetadata({
    name,
    imageFileName: `${name}.img`,
    imageFileUrl: `http://127.0.0.1/${name}`,
    imageFileChecksum: "ab".repeat(32),
  });

test("many tasks that wait for the same hide no others", async () => {
  await using db = await createTestDatabase();
  const [prover, verifier] = [program("prover"), program("verifier")];
  const deploy = sign({ kind: "deploy", name: "t", prover, verifier });
  const run = sign({ kind: "run", steps: [{ program: prover.hash, args: [], inputs: [] }] });
  for (const tx of [deploy, run]) await db.database.transaction((client) => insertTransactions(client, [tx]));
  const add = (count: number, name: string, hash: string, waitsFor: string | null) =>
    db.database.query(
      `insert into task (id, run, step, kind, program, state, waits_for)
       select $1::text || n, $2, $5 + n, 'proof', $3, 'queued', $4 from generate_series(1, $5) n`,
      [`${name}-`, run.hash, hash, waitsFor, count],
    );
  await add(300, "prover", prover.hash, "waits for the volume v: another task has it");
  await add(1, "verifier", verifier.hash, null);
  const looked = (await readQueuedTasks(db.database, 100)).map(({ id }) => id);
  expect(looked).toContain("verifier-1");
  expect(looked.filter((id) => id.startsWith("prover-"))).toHaveLength(5);
});
