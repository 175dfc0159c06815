import { type Payload, signTransaction, type Transaction } from "gevulot-sdk/protocol";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import type { Database } from "../store/database.ts";
import { readManyTransactionBytes } from "../store/readTransactions.ts";
import { createGroupCommit } from "./groupCommit.ts";
import type { Fetched } from "./stages.ts";

const secretKey = new Uint8Array(32).fill(6);
let db: TestDatabase;
let nonce = 0n;

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db?.[Symbol.asyncDispose]());

/** Counts the commits. */
function counting(database: Database): Database & { commits: number } {
  return {
    ...database,
    commits: 0,
    transaction(work) {
      this.commits++;
      return database.transaction(work);
    },
  };
}
const sign = (payload: Payload = { kind: "empty" }) =>
  signTransaction({ payload, nonce: nonce++, secretKey }) as Transaction as Fetched;
const stored = async (txs: readonly Transaction[]) =>
  (
    await readManyTransactionBytes(
      db.database,
      txs.map(({ hash }) => hash),
    )
  ).size;

describe("the group commit", () => {
  test("what comes while one commit is under way shares the next", async () => {
    const database = counting(db.database);
    const group = createGroupCommit(database, { execute: true });
    const txs = Array.from({ length: 200 }, () => sign());
    expect(await Promise.all(txs.map((tx) => group.store(tx)))).toEqual(txs.map(() => true));
    expect(database.commits).toBe(2);
    expect(await stored(txs)).toBe(200);
    expect(await Promise.all(txs.map((tx) => group.store(tx)))).toEqual(txs.map(() => false));
  });

  test("one hash twice at once is new once", async () => {
    const group = createGroupCommit(db.database, { execute: true });
    const tx = sign();
    const twice = await Promise.all([sign(), tx, sign(), tx, sign()].map((each) => group.store(each)));
    expect(twice).toEqual([true, true, true, false, true]);
  });

  test("one that can't be stored fails alone", async () => {
    const group = createGroupCommit(db.database, { execute: true });
    const absent = "ab".repeat(32);
    const bad = sign({ kind: "proofKey", parent: absent, key: Uint8Array.of(1) });
    const refused = sign();
    const good = [sign(), sign(), sign()];
    const results = await Promise.allSettled([
      ...good.map((tx) => group.store(tx)),
      group.store(bad),
      group.store(refused, async () => {
        throw new Error("not this one");
      }),
    ]);
    expect(results.map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "fulfilled",
      "rejected",
      "rejected",
    ]);
    expect(await stored(good)).toBe(3);
    expect(await stored([bad, refused])).toBe(0);
  });
});
