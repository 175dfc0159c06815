import { publicKeyOf } from "gevulot-sdk/protocol";
import { pino } from "pino";
import { expect, it } from "vitest";
import { createTestDatabase } from "../../../test/fixtures/testDatabase.ts";
import type { Database } from "../store/database.ts";
import { createSettler } from "./settler.ts";

it("a look that fails puts off no Run that waits behind it", async () => {
  await using db = await createTestDatabase();
  let looks = 0;
  const database: Database = {
    ...db.database,
    transaction: (work) =>
      ++looks === 1 ? Promise.reject(new Error("no answer")) : db.database.transaction(work),
  };
  const nodeSecretKey = new Uint8Array(32).fill(5);
  const deps = {
    log: pino({ level: "silent" }),
    database,
    nodeSecretKey,
    ownKey: publicKeyOf(nodeSecretKey),
  };
  await using settler = createSettler(
    { ...deps, nodes: () => [], announce: () => {}, onSettled: () => {} },
    { execute: true, provers: 1, verifiers: 3, attempts: 3, deliveryMs: 400 },
  );
  for (const run of ["aa", "bb"]) settler.touch(run);
  // The first again, and the second.
  await expect.poll(() => looks).toBe(3);
});
