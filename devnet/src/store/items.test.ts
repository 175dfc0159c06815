import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../test/fixtures/testDatabase.ts";
import { createItemStores } from "./items.ts";

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db?.[Symbol.asyncDispose]());

test("a cursor goes on where it stands; one of other data, or of no data, begins", async () => {
  const hashes = ["11", "22", "33"].map((byte) => byte.repeat(32));
  for (const hash of hashes) {
    await db.database.query(
      "insert into transaction (hash, author, kind, nonce, signature) values ($1, '04', 'empty', 0, '')",
      [hash],
    );
    await db.database.query("insert into transaction_bytes (hash, bytes) values ($1, $2)", [
      hash,
      Buffer.of(1),
    ]);
  }
  const { transactions } = createItemStores(db.database);
  const first = await transactions.since(null, 2);
  expect(first.ids).toEqual(hashes.slice(0, 2));
  const rest = await transactions.since(first.cursor, 2);
  expect(rest.ids).toEqual(hashes.slice(2));
  expect(await transactions.since(rest.cursor, 2)).toEqual({ ids: [], cursor: rest.cursor });
  const [, xact, place] = rest.cursor!.split(".");
  for (const cursor of [`1.${xact}.${place}`, `${xact}.${place}`, "", "nonsense", `${"9".repeat(20)}.1.1`]) {
    expect((await transactions.since(cursor, 3)).ids, cursor).toEqual(hashes);
  }
});
